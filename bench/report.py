"""What a race found, for people: the table, the summary, the tables of docs/performance.md and the chart."""

import math

from fastsig._catalog import TABLE

SMALL = 10  # elements up to which the time is of a call, not of an element
LARGE = 100_000  # elements from which a memory copy is a limit worth showing
NEAR_COPY = 1.05  # a cell this close to a copy of its input cannot be faster
HEADINGS = {"onnxruntime": "ort"}
LIMITS = ("copy", "float32")  # contenders that are no peers
NAME = max(len(row.name) for row in TABLE) + 1  # a column's width
BLUE, VERMILION = "#0072B2", "#D55E00"  # Okabe and Ito's: safe for colour-blind readers
MARKERS = {  # dtype -> its marker, colour, size
    "float32": ("o", BLUE, 5.2),
    "float64": ("D", VERMILION, 4.2),
    "float16": ("^", "#009E73", 4.8),
    "bfloat16": ("s", "#CC79A7", 4.2),
}
INK, GRID, SHADE = "#7A7F85", "#80808050", "#80808028"  # to be seen on white and on black
STYLE = {  # of all pictures: they lie on the page, light or dark
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    "grid.color": GRID,
    "svg.hashsalt": "fastsig",  # the same picture is the same file
}
LEAD = ("sigmoid", "tanh", "gelu", "silu", "softmax")  # of the small picture
LEADING = {  # contender -> its name and colour there
    "fastsig": ("fastsig", BLUE),
    "torch": ("PyTorch", VERMILION),
    "onnxruntime": ("ONNX Runtime", "#E69F00"),
    "jax": ("JAX", "#009E73"),
    "numpy": ("NumPy or SciPy", "#999999"),
}


def elements(cell):
    return math.prod(cell["shape"])


def shape(cell):
    """'100k', '1000×10', '1000×1000 axis 0'."""
    text = "×".join(map(short, cell["shape"]))
    axis, last = cell["axis"], len(cell["shape"]) - 1
    return text if axis in (None, -1, last) else f"{text} axis {axis}"


def short(n):
    """100000 as 100k."""
    if n <= 10_000 or n % 1000:
        return str(n)
    return f"{n // 1000}k" if n % 1_000_000 else f"{n // 1_000_000}M"


def label(cell):
    """A cell in words, without its threads."""
    return " ".join(text for text in (cell["function"], cell["dtype"], shape(cell), cell["layout"]) if text)


def unit(cell):
    """By what a time is divided: a call, or an element."""
    return 1 if elements(cell) <= SMALL else elements(cell)


def number(value):
    """Three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def verdict(cell):
    """The fastest peer of a cell, the ratio, and the multiples of a copy and of float32; None where there is none."""
    least = cell["least_ns"]
    peers = {name: ns for name, ns in least.items() if name not in ("fastsig", *LIMITS)}
    fastest = min(peers, key=peers.get, default=None)
    copy = least.get("copy") if elements(cell) >= LARGE else None
    single = {"times_float32": least["fastsig"] / least["float32"]} if "float32" in least else {}
    return {
        "fastest_peer": fastest,
        "ratio": peers[fastest] / least["fastsig"] if fastest else None,
        "times_copy": least["fastsig"] / copy if copy else None,
    } | single


def is_loss(cell):
    return cell["ratio"] is not None and cell["ratio"] < 1


def at_copy_speed(cell):
    return cell["times_copy"] is not None and cell["times_copy"] <= NEAR_COPY


def mark(cell):
    """A loss must be seen."""
    if not is_loss(cell):
        return ""
    return "loss, at a copy's speed" if at_copy_speed(cell) else "<<< LOSS"


def heading(contenders):
    """The first line of a table; times are ns an element, or a call where there are up to 10 elements."""
    text = f"{'function':<{NAME}}{'dtype':<9}{'shape':<31}{'threads':>7} {'ns per':<8}"
    text += "".join(f"{HEADINGS.get(name, name):>9}" for name in contenders if name not in LIMITS)
    text += f"{'ratio':>8}  {'fastest peer':<13}{'x copy':>6}"
    return text + "  x float32" * ("float32" in contenders)


def line(cell, contenders):
    """A cell's line of the table."""
    times = [cell["least_ns"].get(name) for name in contenders if name not in LIMITS]
    ratio = "" if cell["ratio"] is None else f"{cell['ratio']:.2f}"
    copy = "" if cell["times_copy"] is None else f"{cell['times_copy']:.2f}"
    single = f"{cell['times_float32']:.2f}" if "times_float32" in cell else ""
    where = f"{shape(cell)} {cell['layout']}"
    text = f"{cell['function']:<{NAME}}{cell['dtype']:<9}{where:<31}{cell['threads']:>7} "
    text += f"{'call' if unit(cell) == 1 else 'element':<8}"
    text += "".join(f"{'' if ns is None else number(ns / unit(cell)):>9}" for ns in times)
    text += f"{ratio:>8}  {cell['fastest_peer'] or '':<13}{copy:>6}"
    return f"{text}{single:>11}  {mark(cell)}".rstrip() if "float32" in contenders else f"{text}  {mark(cell)}".rstrip()


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def scaling(cells):
    """(cell in words, gain from one thread to the most) for the cells of a million elements and more."""
    large = [cell for cell in cells if elements(cell) >= 1_000_000]
    most = max((cell["threads"] for cell in large), default=1)
    one = {label(cell): cell for cell in large if cell["threads"] == 1}
    for cell in large:
        if cell["threads"] == most > 1 and label(cell) in one:
            yield label(cell), one[label(cell)]["least_ns"]["fastsig"] / cell["least_ns"]["fastsig"]


def beside_float32(cells):
    """For each dtype that is raced beside fastsig's own float32: by how much it takes longer, and where most."""
    for dtype in dict.fromkeys(cell["dtype"] for cell in cells if "times_float32" in cell):
        those = sorted((c for c in cells if c["dtype"] == dtype), key=lambda c: c["times_float32"], reverse=True)
        mean = geometric_mean([cell["times_float32"] for cell in those])
        yield f"{dtype}, times its own float32: {mean:.2f} in the mean; most"
        for cell in those[:5]:
            yield f"  {cell['times_float32']:.2f} {label(cell)}, threads {cell['threads']}"


def summary(cells):
    """Geometric mean, gain by threads, what 16 bits take beside 32, and all losses, for each section."""
    lines = []
    for section in dict.fromkeys(cell["section"] for cell in cells):
        raced = [cell for cell in cells if cell["section"] == section and cell["ratio"] is not None]
        if not raced:
            continue
        against = "NumPy's expression" if section == "layouts" else "the fastest peer"
        mean = geometric_mean([cell["ratio"] for cell in raced])
        lines += ["", f"{section}: {len(raced)} cells, geometric mean {mean:.2f} times as fast as {against}"]
        dtypes = list(dict.fromkeys(cell["dtype"] for cell in raced))
        for dtype in dtypes if len(dtypes) > 1 else ():
            of = [cell["ratio"] for cell in raced if cell["dtype"] == dtype]
            lines.append(f"  {geometric_mean(of):.2f} {dtype}, {len(of)} cells")
        lines += beside_float32(raced)
        if section == "race":
            gains = [f"{words} {gain:.2f}" for words, gain in scaling(raced)]
            lines += ["from one thread to the most:"] * bool(gains) + [f"  {text}" for text in gains]
        losses = sorted(filter(is_loss, raced), key=lambda cell: cell["ratio"])
        near = sum(map(at_copy_speed, losses))
        lines.append(f"{len(losses)} cells lost" + (f", {near} of them at a copy's speed" if near else ""))
        for cell in losses:
            words = f"{label(cell)}, threads {cell['threads']}"
            near = ", at a copy's speed" if at_copy_speed(cell) else ""
            lines.append(f"  {cell['ratio']:.2f} {words}: {cell['fastest_peer']}{near}")
        worst = min(raced, key=lambda cell: cell["ratio"])
        lines.append(f"worst: {worst['ratio']:.2f}, {label(worst)}, threads {worst['threads']}")
    return lines


def environment(values):
    """The machine and what fastsig runs on."""
    config = values["fastsig"]
    lines = [
        f"CPU      {values['cpu']}, {values['cpus']} CPUs for this process, {values['system']}",
        f"fastsig  {config['fastsig']}, kernels {config['kernels']}, threads {config['threads']}"
        f"{'' if config['openmp'] else ' (no OpenMP)'}, Python {values['python']}",
    ]
    lines.append("peers    " + ", ".join(f"{name} {version}" for name, version in values["versions"].items()))
    lines.append(f"load     {values['load_before']:.1f} before the race")
    return lines


def warning(values):
    """That a race is of no use, before it is run."""
    return ["WARNING  other work runs here: the times are noise"] if values["load_before"] > 0.5 else []


def calls(results):
    """What one call costs, beside np.negative of the same."""
    width = max(len(result["form"]) for result in results) + 2
    lines = ["", f"{'one call':<{width}}{'of':<14}{'ns':>8}  times np.negative"]
    base = {result["x"]: result["ns"] for result in results if result["form"] == "np.negative(x)"}
    for result in results:
        ratio = result["ns"] / base[result["x"]]
        lines.append(f"{result['form']:<{width}}{result['x']:<14}{result['ns']:>8.0f}{ratio:>8.2f}")
    return lines


def threads(results):
    """Medians with default threads and with one."""
    names = list(dict.fromkeys(result["contender"] for result in results))
    lines = ["", "median µs of a call: default threads / one thread = ratio (float32, out=)"]
    lines.append(f"{'function':<10}{'n':<6}{'mode':<19}" + "".join(f"{name:>28}" for name in names))
    for key in dict.fromkeys((result["function"], result["n"], result["mode"]) for result in results):
        line = f"{key[0]:<10}{shape({'shape': [key[1]], 'axis': None}):<6}{key[2]:<19}"
        for name in names:
            for result in results:
                if (result["function"], result["n"], result["mode"], result["contender"]) == (*key, name):
                    both = result["default_ns"] / 1000, result["one_thread_ns"] / 1000
                    text = f"{number(both[0])} / {number(both[1])} = {both[0] / both[1]:.2f}"
                    line += f"{text:>28}"
        lines.append(line)
    return lines


def imports(results):
    """What an import takes."""
    faces = {False: "compiled", True: "pure Python"}
    return [
        "",
        *(f"import fastsig, {faces[result['pure']]:<14}{result['ms']:>6.1f} ms beyond NumPy" for result in results),
    ]


def columns(cells):
    """(shape, threads) of the cells that stand for the rest: those of docs/performance.md."""
    found = {(shape(cell), cell["threads"]): elements(cell) for cell in cells}
    most = max((threads for _, threads in found), default=1)
    return [key for key, n in found.items() if key[1] == (most if n >= 1_000_000 else 1) and n != 1]


NANOSECONDS = "Nanoseconds an element (a call up to 10 elements): fastsig / fastest peer = ratio."


def markdown(cells):
    """A table for each section and kind of function: a row a function and dtype, a column a selected cell; where there
    are many shapes, one for each function."""
    lines = [NANOSECONDS]
    for section, elementwise in dict.fromkeys((cell["section"], cell["kind"] == "elementwise") for cell in cells):
        those = [c for c in cells if (c["section"], c["kind"] == "elementwise") == (section, elementwise)]
        if section == "layouts":
            continue
        if section == "rows":
            for name in dict.fromkeys(cell["function"] for cell in those):
                lines += ["", f"`{name}`:", *of_one([cell for cell in those if cell["function"] == name])]
            continue
        keys = columns(those)
        found = {(cell["function"], cell["dtype"], shape(cell), cell["threads"]): cell for cell in those}
        heads = [f"{text}, {n} thread{'s' * (n > 1)}" for text, n in keys]
        lines += ["", "| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for name, dtype in dict.fromkeys(key[:2] for key in found):
            texts = [entry(found.get((name, dtype, *key))) for key in keys]
            lines.append(f"| `{name}` {dtype} | " + " | ".join(texts) + " |")
    return lines


def of_one(cells):
    """The table of one function: a row a selected cell, a column a dtype."""
    dtypes = list(dict.fromkeys(cell["dtype"] for cell in cells))
    found = {(shape(cell), cell["threads"], cell["dtype"]): cell for cell in cells}
    lines = ["", "| | " + " | ".join(dtypes) + " |", "|---" * (len(dtypes) + 1) + "|"]
    for text, threads in columns(cells):
        texts = [entry(found.get((text, threads, dtype))) for dtype in dtypes]
        lines.append(f"| {text}, {threads} thread{'s' * (threads > 1)} | " + " | ".join(texts) + " |")
    return lines


def entry(cell):
    """'1.05 / 1.17 onnxruntime = **1.11**'."""
    if cell is None or cell["ratio"] is None:
        return ""
    ours, theirs = (cell["least_ns"][name] / unit(cell) for name in ("fastsig", cell["fastest_peer"]))
    return f"{number(ours)} / {number(theirs)} {cell['fastest_peer']} = **{cell['ratio']:.2f}**"


def accuracy(results):
    """A table of the largest errors in ULP: a row a function and dtype, a column a contender; the least is bold."""
    names = list(dict.fromkeys(name for each in results["errors"].values() for of in each.values() for name in of))
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for function, each in results["errors"].items():
        for dtype, of in each.items():
            values = {name: float(value) for name, value in of.items()}
            least = min(values.values())
            texts = [ulp(values[name], least) if name in values else "" for name in names]
            lines.append(f"| `{function}` {dtype} | " + " | ".join(texts) + " |")
    return lines


def ulp(value, least):
    """'2.5', '340', '4e+09'."""
    text = f"{value:.1f}" if value < 99.95 else f"{value:.0f}" if value < 9999.5 else f"{value:.0e}"
    return f"**{text}**" if value == least else text


def chart(results, path):
    """Ratios as dots: a row a function, a panel a shape; a colour a dtype, one thread and more."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    cells = [cell for cell in results["cells"] if cell["section"] == "race" and cell["ratio"] is not None]
    kinds = [[cell for cell in cells if (cell["kind"] == "elementwise") == which] for which in (True, False)]
    counts = [len({cell["function"] for cell in kind}) for kind in kinds if kind]
    if not counts:
        return
    head, gap, row, foot = 0.8, 0.62, 0.27, 0.55  # inches
    height = head + sum(row * count + gap for count in counts) - gap + foot
    ratios = [cell["ratio"] for cell in cells]
    low, high = math.floor(math.log2(min(*ratios, 0.9))), math.ceil(math.log2(max(*ratios, 2)) + 0.2)
    with mpl.rc_context(STYLE | {"font.size": 9}):
        figure = Figure(figsize=(8, height))
        top = height - head
        for kind, count in zip(filter(None, kinds), counts, strict=True):
            tall = row * count
            draw_panels(figure, kind, (2.0**low, 2.0**high), (top - tall) / height, tall / height)
            top -= tall + gap
        draw_head(figure, cells, results["environment"], height)
        figure.text(0.01, 0.08 / height, "time of the fastest peer / time of fastsig", fontsize=9)
        save(figure, path)


def save(figure, path):
    """The same times make the same file."""
    figure.savefig(path, dpi=200, metadata={"Date": None, "Creator": None} if path.suffix == ".svg" else None)


def leading(cells):
    """For each function of the small picture, the ns an element of each contender: float32, one thread."""
    for name in LEAD:
        kind = [
            cell
            for cell in cells
            if (cell["section"], cell["function"], cell["dtype"], cell["threads"]) == ("race", name, "float32", 1)
            and cell["shape"] in ([100_000], [1000, 1000])
            and cell["axis"] in (None, -1)
        ]
        for cell in kind:
            times = {peer: ns / elements(cell) for peer, ns in cell["least_ns"].items()}
            times["numpy"] = min(times.get("numpy", math.inf), times.get("scipy", math.inf))
            yield name, {peer: times.get(peer, math.inf) for peer in LEADING}


def lead(results, path):
    """The small picture: a bar each, of some functions and contenders; what is too long is cut, and its number said."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    found, most = dict(leading(results["cells"])), 1.5
    if not found:
        return
    with mpl.rc_context(STYLE | {"font.size": 11}):
        figure = Figure(figsize=(4.8, 0.95 + 0.85 * len(found)), layout="constrained")
        axes = figure.subplots()
        for i, (peer, (label, color)) in enumerate(LEADING.items()):
            y = [row + (i - (len(LEADING) - 1) / 2) * 0.16 for row in range(len(found))]
            times = [times[peer] for times in found.values()]
            axes.barh(y, [min(ns, most) if ns < math.inf else 0 for ns in times], 0.14, color=color, label=label)
            for place, ns in zip(y, times, strict=True):
                if most < ns < math.inf:
                    axes.text(most, place, f" {number(ns)}", va="center", fontsize=8, clip_on=False)
        axes.set(
            yticks=range(len(found)), yticklabels=found, xlim=(0, most), xlabel="nanoseconds an element; less is better"
        )
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9, handlelength=1, columnspacing=1.2)
        save(figure, path)


def draw_panels(figure, cells, limits, bottom, tall):
    """The panels of one kind of function, side by side, one for each shape."""
    shapes = list(dict.fromkeys(map(shape, cells)))
    names = list(dict.fromkeys(cell["function"] for cell in cells))
    left, wide = 0.13, 0.86 / len(shapes)
    for i, text in enumerate(shapes):
        axes = figure.add_axes((left + i * wide, bottom, wide * 0.93, tall))
        axes.set_xscale("log", base=2)
        axes.set_xlim(*limits)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_title(text if "×" in text else f"n = {text}", fontsize=9)
        axes.axvspan(limits[0], 1, color=SHADE, zorder=0)
        axes.axvline(1, color=INK, linewidth=1)
        # Not at the ends, where two panels' labels would collide.
        ticks = [2.0**k for k in range(-20, 21) if limits[0] < 2.0**k < limits[1]]
        axes.set_xticks(ticks, [tick(value, len(ticks)) for value in ticks], fontsize=8)
        axes.minorticks_off()
        axes.set_yticks(range(len(names)), names if i == 0 else [""] * len(names))
        axes.grid(axis="y", linewidth=0.6)
        axes.tick_params(axis="x", length=2)
        axes.tick_params(axis="y", length=0)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        for cell in cells:
            if shape(cell) == text:
                draw_dot(axes, cell, names.index(cell["function"]), list(dict.fromkeys(c["dtype"] for c in cells)))


def tick(value, count):
    """The label of a power of two: each if there are few, else each second."""
    if count > 4 and round(math.log2(value)) % 2:
        return ""
    return f"{value:.0f}" if value >= 1 else f"1/{1 / value:.0f}"


def draw_dot(axes, cell, y, dtypes):
    """A cell; those of a function lie one below the other, dtype by dtype."""
    marker, color, size = MARKERS[cell["dtype"]]
    y += 0.68 * ((dtypes.index(cell["dtype"]) + 0.5) / len(dtypes) - 0.5)
    single = cell["threads"] == 1
    face = color if single else "none"  # two dots on one spot are a dot in a ring
    axes.plot(cell["ratio"], y, marker, color=color, markerfacecolor=face, markersize=size + 0.8 * (not single))


def draw_head(figure, cells, values, height):
    """What the dots mean, and where they were measured."""
    names = dict.fromkeys(name for cell in cells for name in cell["least_ns"])
    peers = ", ".join(name for name in names if name not in ("fastsig", *LIMITS))
    title = "How many times as fast as the fastest peer"
    figure.text(0.01, 1 - 0.2 / height, title, fontsize=11, weight="bold")
    where = f"peers: {peers}; {values['cpu']}, {values['fastsig']['kernels']}; grey: the peer is faster"
    figure.text(0.01, 1 - 0.4 / height, where, fontsize=8)
    keys = [(*MARKERS[dtype][:2], MARKERS[dtype][1], dtype) for dtype in dict.fromkeys(c["dtype"] for c in cells)]
    most = max(cell["threads"] for cell in cells)
    if most > 1:
        keys += [("o", INK, INK, "1 thread"), ("o", INK, "none", f"{most} threads")]
    handles = [
        figure.axes[0].plot([], [], marker, color=color, markerfacecolor=face, label=text)[0]
        for marker, color, face, text in keys
    ]
    style = {"frameon": False, "fontsize": 8, "borderaxespad": 0.2, "columnspacing": 1, "handletextpad": 0.2}
    figure.legend(handles=handles, ncols=len(keys), loc="lower right", **style)
