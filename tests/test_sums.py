"""No sum in a formula can be fused in two ways.

A compiler may make one rounding of a * b + c. Of a * b + c * d it chooses one product, and of a product that is also
needed by itself none, or both times: perhaps otherwise for a number than for an array, whose bits then differ. So such
a formula says what it means, with multiply_add() or rounded_product(). Here formulas are run on symbols, and sums are
seen as they are after inlining.
"""

import math
import operator

import pytest
from conftest import PACKAGE

FILES = [PACKAGE / "kernels" / name for name in ("formulas.pxi", "gradients.pxi")]
ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}

pytestmark = pytest.mark.skipif(not FILES[0].exists(), reason="about the source tree")


class Symbol:
    """A number that only the running code knows. Of a product, or a choice between such, `rounded` says whether it is
    rounded, as it is not if a factor is a power of two."""

    def __init__(self, product=False, rounded=False, power=False):
        self.product, self.rounded, self.power, self.uses = product, rounded, power, set()


def is_product(value):
    return isinstance(value, Symbol) and value.product


def is_power(value):
    """Of two."""
    return value.power if isinstance(value, Symbol) else math.frexp(value)[0] in (0.5, -0.5)


class Reader:
    """Runs one function of parsed .pxi files, and all that it calls, with `floating` as one type."""

    def __init__(self, functions, floating):
        self.functions, self.floating = functions, floating
        self.known = {}  # expressions, each of which is computed once: operator and operands -> symbol
        self.ambiguous = set()  # (file, line)

    def start(self, name):
        self.call(name, [Symbol() for _ in self.functions[name].declarator.args])
        for symbol in self.known.values():
            sums = {place for kind, place in symbol.uses if kind in "+-"}
            if symbol.rounded and sums and len(symbol.uses) > 1:
                self.ambiguous |= sums

    def call(self, name, arguments):
        variables = {}
        for argument, value in zip(self.functions[name].declarator.args, arguments, strict=True):
            declarator = argument.declarator
            while not hasattr(declarator, "name"):  # pointers
                declarator = declarator.base
            variables[declarator.name] = value
        return self.execute(self.functions[name].body, variables)

    def execute(self, node, variables):
        """The value that is returned, or None."""
        kind = type(node).__name__
        if kind == "StatListNode":
            for statement in node.stats:
                value = self.execute(statement, variables)
                if value is not None:
                    return value
        elif kind == "CVarDefNode":
            for declarator in node.declarators:
                if getattr(declarator, "default", None) is not None:
                    variables[declarator.name] = self.value(declarator.default, variables)
        elif kind == "SingleAssignmentNode":
            several = type(node.lhs).__name__ == "TupleNode"
            targets, values = (node.lhs.args, node.rhs.args) if several else ([node.lhs], [node.rhs])
            for target, value in zip(targets, [self.value(value, variables) for value in values], strict=True):
                self.assign(target, value, variables)
        elif kind == "IfStatNode":
            for clause in node.if_clauses:
                condition = self.value(clause.condition, variables)
                value = self.execute(clause.body, variables) if condition is not False else None
                if value is not None or condition is True:
                    return value
            return self.execute(node.else_clause, variables) if node.else_clause else None
        elif kind == "ForInStatNode":
            variables[node.target.name] = Symbol()
            self.execute(node.body, variables)
        elif kind == "ReturnStatNode":
            return self.value(node.value, variables)
        return None

    def assign(self, target, value, variables):
        if type(target).__name__ == "NameNode":
            variables[target.name] = value
        elif isinstance(pointer := variables.get(target.base.name), tuple):
            pointer[0][pointer[1]] = value
        else:
            self.use(target, "=", value)
            variables[f"{target.base.name}[]"] = value

    def value(self, node, variables):
        kind = type(node).__name__
        if kind == "NameNode":
            constants = {"floating": self.floating, "float": "float", "double": "double", "HAS_FMA": True}
            return variables[node.name] if node.name in variables else constants.get(node.name, Symbol())
        if kind == "FloatNode":
            return float(node.value)
        if kind == "IntNode":
            return int(node.value, 0)
        if kind == "TypecastNode":
            return self.value(node.operand, variables)
        if kind == "UnaryMinusNode":
            value = self.value(node.operand, variables)
            return value if isinstance(value, Symbol) else -value
        if kind == "AmpersandNode":
            indexed = type(node.operand).__name__ == "IndexNode"
            return variables, f"{node.operand.base.name}[]" if indexed else node.operand.name
        if kind == "IndexNode":
            pointer = self.value(node.base, variables)
            if isinstance(pointer, tuple):
                return pointer[0][pointer[1]]
            return self.loaded(variables, f"{node.base.name}[]")
        if kind == "SimpleCallNode":
            name, arguments = node.function.name, [self.value(argument, variables) for argument in node.args]
            if name == "select":
                return self.either(node, *arguments[1:])
            if name in self.functions:
                return self.call(name, arguments)
            self.use(node, "(", *arguments)
            return Symbol(power=name.startswith("bits_") and is_power(arguments[0]))
        if kind == "CondExprNode":
            self.value(node.condition, variables)
            return self.either(node, self.value(node.true_val, variables), self.value(node.false_val, variables))
        if hasattr(node, "operand1"):
            left, right = self.value(node.operand1, variables), self.value(node.operand2, variables)
            if node.operator == "is":
                return left == right
            if node.operator in ARITHMETIC:
                return self.arithmetic(node, left, right)
            self.use(node, "?", left, right)
            return Symbol(power=node.operator == "<<")  # an exponent's bits
        return Symbol()

    def loaded(self, variables, element):
        """No sum takes in a product that is in memory."""
        stored = variables.get(element, Symbol())
        if is_product(stored):
            stored = variables[element] = Symbol(power=stored.power)
        return stored

    def use(self, node, kind, *values):
        file, line, _ = node.pos
        for value in values:
            if isinstance(value, Symbol):
                value.uses.add((kind, (file.name, line)))

    def either(self, node, *values):
        """Code that follows may be moved to where the choice is made."""
        self.use(node, "?", *values)
        products = [value for value in values if is_product(value)]
        return Symbol(bool(products), any(value.rounded for value in products), all(map(is_power, values)))

    def arithmetic(self, node, left, right):
        if not isinstance(left, Symbol) and not isinstance(right, Symbol):
            return ARITHMETIC[node.operator](left, right)
        key = (node.operator, left, right)
        if key in self.known:
            return self.known[key]
        self.use(node, node.operator, left, right)
        if node.operator == "*":
            power = is_power(left), is_power(right)
            made = Symbol(True, not any(power), all(power))
        elif node.operator == "+" and left is right:  # twice
            made = Symbol(True, False, left.power)
        else:
            made = Symbol()
            if node.operator in "+-" and is_product(left) and is_product(right) and (left.rounded or right.rounded):
                self.ambiguous.add((node.pos[0].name, node.pos[1]))
        return self.known.setdefault(key, made)


def ambiguous_sums(texts):
    """(file, line) of each sum that can be fused in two ways."""
    parsing = pytest.importorskip("Cython.Compiler.TreeFragment")
    functions, found = {}, set()
    for name, text in texts.items():
        for node in parsing.parse_from_strings(name, text).body.stats:
            if type(node).__name__ == "CFuncDefNode" and node.declarator.nogil:
                functions[node.declarator.base.name] = node
    assert len(functions) > 4
    for floating in ("float", "double"):
        for name in (name for name, node in functions.items() if "inline" not in node.modifiers):
            reader = Reader(functions, floating)
            reader.start(name)
            found |= reader.ambiguous
    return sorted(found)


def test_no_sum_can_be_fused_in_two_ways():
    assert ambiguous_sums({path.stem: path.read_text() for path in FILES}) == []


EXAMPLES = """
cdef inline floating product_and_square(floating x, floating y, floating *square) noexcept nogil:
    square[0] = x * x
    return x * y

cdef floating two_products(floating x, floating y) noexcept nogil:
    cdef floating square = 0, product = product_and_square(x, y, &square)
    return square - product  # ambiguous

cdef floating behind_a_choice(floating x, floating y) noexcept nogil:
    return (x * y if x > y else x) + y * y  # ambiguous

cdef floating needed_by_itself(floating x, floating y) noexcept nogil:
    cdef floating z = x * y
    return (z + <floating>1.0) / z  # ambiguous

cdef floating one_way(floating x, floating y) noexcept nogil:
    cdef floating exact = <floating>0.5 * x, twice = y + y
    return multiply_add(x, y, x * y) + exact + (twice - exact)

cdef void in_memory_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef const floating *a = x[0]
    cdef npy_intp i
    for i in range(n):
        t[i] = a[i] * a[i]
    for i in range(n):
        y[i] = t[i] + a[i] * a[i]
"""


def test_such_sums_are_found():
    lines = [number for number, line in enumerate(EXAMPLES.splitlines(), 1) if line.endswith("# ambiguous")]
    assert [line for _, line in ambiguous_sums({"examples": EXAMPLES})] == lines
