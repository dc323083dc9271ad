"""What is made when it is first asked for: all functions, with their documentation, would be most of an import."""

import functools
import sys
from collections.abc import Mapping

from ._catalog import known_as


class Made(Mapping):
    """Name -> what `make` makes of the recipe of that name, once; list_recipes() has them by name."""

    def __init__(self, make, list_recipes):
        self._make, self._list_recipes, self._made = make, list_recipes, {}

    @functools.cached_property
    def _recipes(self):
        return self._list_recipes()

    def __getitem__(self, name):
        if name not in self._made:
            self._made.setdefault(name, self._make(self._recipes[name]))  # another thread may have been faster
        return self._made[name]

    def __contains__(self, name):
        return name in self._recipes

    def __iter__(self):
        return iter(self._recipes)

    def __len__(self):
        return len(self._recipes)


def offer(made, namespace):
    """Let a module, of which this is the namespace, have these as attributes, too."""

    def __getattr__(name):
        if name[:1] == "_" or name not in made:  # import asks for __path__, and need not list the recipes for that
            module = namespace["__name__"]
            message, meant = f"module {module!r} has no attribute {name!r}", "" if name[:1] == "_" else known_as(name)
            if meant:  # without the object, in which Python would look for names that are spelt alike
                raise AttributeError(f"{message}: here it is {' or '.join(meant)}", name=name)
            raise AttributeError(message, name=name, obj=sys.modules.get(module))
        return namespace.setdefault(name, made[name])

    def __dir__():
        return [*namespace, *(name for name in made if name not in namespace)]

    namespace.update(__getattr__=__getattr__, __dir__=__dir__)
