"""What the site takes from the table, the examples and the race: Markdown, written when the site is built.

The docstrings come in through autodoc. Nothing here needs Sphinx.
"""

import ast
import json
import os
import textwrap
from pathlib import Path

import fastsig
from fastsig import _generate
from fastsig._catalog import TABLE, expanded

CHECKOUT = Path(__file__).parent.parent
MADE = "made"  # the folder of what is included in pages, and of the pictures
RACE = CHECKOUT / "bench" / "race.json"  # make bench ARGS="--json bench/race.json"
ERRORS = CHECKOUT / "bench" / "accuracy.json"  # make bench-accuracy ARGS="--json bench/accuracy.json"
REPOSITORY = os.environ.get("FASTSIG_REPOSITORY")  # its address, from the Makefile: that of the clone's origin


def documented(name):
    """A public object's docstring."""
    return f"```{{eval-rst}}\n.. autofunction:: fastsig.{name}\n```"


def has_error_picture(row):
    """Whether there is an error to draw, and a reference in tests/oracle.py to draw it with."""
    return row.kind in {"elementwise", "rows", "halves"} and any(row.max_ulp)


def error(row):
    """The picture of a function's errors, and how to read it."""
    if not any(row.max_ulp):
        return "None: the result is exact."
    if not has_error_picture(row):
        return "The notes above have the bound; [Accuracy](../accuracy.md) says how it is checked."
    where = {
        "elementwise": "in each of 160 intervals of `x`, 2000 random numbers in each",
        "halves": "in each of 160 intervals of `b`, 2000 random numbers in each, beside as many of `a`",
        "rows": "in rows of 100 random numbers, by how far an entry lies "
        + ("above its row's minimum" if row.negates else "below its row's maximum"),
    }[row.kind]
    kernels = fastsig.get_config()["kernels"]
    return (
        f"![Errors of {row.name} in ULP](../{MADE}/{row.name}-error.svg)\n\nThe largest error found {where}, with the "
        f"kernels {kernels}; dotted, the bounds that the tests enforce"
        f"{'; thin, the same rows by others' * (row.kind == 'rows')}. [How errors are measured](../accuracy.md)"
    )


def speed(row):
    """What the last race found about a function."""
    if RACE.exists():
        import report

        race = json.loads(RACE.read_text(encoding="utf-8"))
        cells = [cell for cell in race["cells"] if cell["function"] == row.name and cell["section"] in {"race", "rows"}]
        if cells:
            lines = report.environment(race["environment"])
            machine = "\n".join(textwrap.fill(line, 88, subsequent_indent=" " * 9) for line in lines)
            return "\n".join([report.NANOSECONDS, *report.of_one(cells), "", "```text", machine, "```"])
    return "[Performance](../performance.md) has the race against PyTorch and others; `make bench` runs it here."


def calls(row):
    """(Library, its call for the same) of a function."""
    numpy = [("NumPy", variant.numpy) for _, variant in expanded(row)]
    return [*numpy, *([("PyTorch", row.torch)] if row.torch else []), *row.elsewhere.items()]


def other_names(row):
    """What others call a function, and what makes other numbers there."""
    lines = [f"| {library} | `{call}` |" for library, call in calls(row)]
    texts = ["| | |\n|---|---|\n" + "\n".join(lines)]
    if row.words:
        texts.append(f"Also known, or looked for, as {', '.join(row.words)}.")
    if row.differs:
        texts.append(
            "Other numbers: " + "; ".join(f"in {library}, {text}" for library, text in row.differs.items()) + "."
        )
    return "\n\n".join([*texts, "[From all libraries](../names.md)"])


def names_of(library):
    """A library's calls, each beside the function here, and what makes other numbers there."""
    table, list_ = ["| there | here |", "|---|---|"], []
    for row in TABLE:
        link = f"[`{row.name}`](functions/{row.name}.md)"
        table += [f"| `{call}` | {link} |" for call in [call for of, call in calls(row) if of == library][:1]]
        list_ += [f"- {link}: {text}." for of, text in row.differs.items() if of == library]
    return "\n".join([*table, *(["", "Other numbers there:", "", *list_] if list_ else [])]) + "\n"


def page(row):
    """The page of a function."""
    sections = [
        f"# {row.name}",
        f"![{row.name} and its slope](../{MADE}/{row.name}.svg)",
        documented(row.name),
        "## Error",
        error(row),
        "## Speed",
        speed(row),
        "## Under other names",
        other_names(row),
    ]
    if hasattr(fastsig.backward, row.name):
        sections += ["## Gradient", documented(f"backward.{row.name}")]
    if hasattr(fastsig.scalar, row.name):
        sections += ["## Single numbers", f"`fastsig.scalar.{row.name}`: see [Scalars and Cython](../scalar.md)."]
    return "\n\n".join(sections) + "\n"


def bound(row):
    """The table's largest errors, float32 / float64."""
    if not any(row.max_ulp):
        return "exact"
    return "{} / {}".format(*row.max_ulp) + (" of max(x)" if row.kind == "reduction" else "")


def index():
    """The list of functions, each with a link to its page."""
    rows = [variant for row in TABLE for _, variant in expanded(row)]
    lines = [f"| [`{_generate.call(row)}`]({row.name}.md) | {bound(row)} | `{row.formula}` |" for row in rows]
    listing, tree = "\n".join(lines), "\n".join(row.name for row in TABLE)
    return f"""# Functions

| function | ULP | formula |
|---|---|---|
{listing}

The second column is the largest error in float32 / float64, in units in the last place: the distance of neighbouring
numbers. [Accuracy](../accuracy.md) says how it is measured.

float16, float32 and float64 stay what they are, and so does bfloat16 where its package, `ml_dtypes`, is
imported; the 16-bit types are computed in float32 and rounded once. Bool and integers become float64 (`relu` keeps
integers); other dtypes raise TypeError. NaN propagates.

```{{toctree}}
:hidden:

{tree}
```
"""


def example(path):
    """An example: what its docstring says, and the functions that this names as what to copy."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    title, _, text = ast.get_docstring(tree).partition("\n")
    named = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and f"`{node.name}`" in text]
    source = f"examples/{path.name}"
    place = f", in [the repository]({REPOSITORY}/blob/HEAD/{source})" if REPOSITORY else ""
    command, _, explanation = text.strip().partition("\n")
    excerpts = [f"```{{literalinclude}} ../{source}\n:language: python\n:pyobject: {name}\n```" for name in named]
    sections = [f"## {title.rstrip('.')}", explanation.strip(), *excerpts, f"All of it: `{command.strip()}`{place}."]
    return "\n\n".join(sections) + "\n"


def examples():
    """Every example, by what it is about."""
    return "\n".join(example(path) for path in sorted((CHECKOUT / "examples").glob("[!_]*.py")))


def first():
    """What the first page says of getting it."""
    source = f" Its source is in [the repository]({REPOSITORY})." if REPOSITORY else ""
    return (
        f"To install it: `pip install .` in the source tree, with a C compiler ([more](building.md)).{source} To try "
        "it there first: `make demo`.\n"
    )


def listing():
    """The functions by what they are, each with a link to its page."""
    return _generate.function_list(lambda row: f"[`{_generate.call(row)}`](functions/{row.name}.md)")


def accuracy():
    """The largest errors of all contenders, as they were recorded."""
    import report

    found = json.loads(ERRORS.read_text(encoding="utf-8"))
    return "\n".join([*report.accuracy(found), "", "```text", *report.environment(found["environment"]), "```", ""])


def texts():
    """Name under docs/ -> text, of all that is made."""
    functions = {f"functions/{row.name}.md": page(row) for row in TABLE}
    made = {"examples": examples(), "first": first(), "list": listing(), "accuracy": accuracy()}
    made |= {f"names-{library}": names_of(library) for row in TABLE for library, _ in calls(row)}
    return {"functions/index.md": index(), **functions} | {f"{MADE}/{name}.md": text for name, text in made.items()}


def write(folder):
    """Write the pages, and remove those of functions that are gone."""
    made = {folder / name: text for name, text in texts().items()}
    for path in set((folder / "functions").glob("*.md")) - made.keys():
        path.unlink()
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
