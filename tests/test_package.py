"""The package as a whole: cheap to import, complete, documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys

import pytest

import spikeinterface_poyo
from spikeinterface_poyo.parameters import Parameters

MODULES = [module.name for module in pkgutil.walk_packages(spikeinterface_poyo.__path__, "spikeinterface_poyo.")]
HEAVY = ["torch", "sklearn", "neo", "matplotlib", "pandas", "quantities", "tqdm", "safetensors"]

IMPORT = """
import json, sys, time
import spikeinterface.core
before = set(sys.modules)
start = time.perf_counter()
import spikeinterface_poyo
print(json.dumps([time.perf_counter() - start, sorted(set(sys.modules) - before)]))
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_costs_little_more_than_spikeinterface():
    runs = [json.loads(run(IMPORT)) for _ in range(3)]
    assert min(seconds for seconds, _ in runs) <= 0.2
    new = {name.split(".")[0] for name in runs[0][1]}
    assert new.isdisjoint(HEAVY)


@pytest.mark.parametrize("name", spikeinterface_poyo.__all__)
def test_public_names_resolve(name):
    value = getattr(spikeinterface_poyo, name)
    assert value.__name__ == name
    assert value.__module__.startswith("spikeinterface_poyo.")
    assert name in dir(spikeinterface_poyo)


def test_public_names_are_sorted_and_importable_by_star():
    assert list(spikeinterface_poyo.__all__) == sorted(spikeinterface_poyo.__all__)
    names: dict = {}
    exec("from spikeinterface_poyo import *", names)
    assert set(spikeinterface_poyo.__all__) <= set(names)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="POYODecodr"):
        spikeinterface_poyo.POYODecodr  # noqa: B018


def test_importing_modules_does_not_hide_a_public_name():
    # spikeinterface_poyo.inputs.alignment, for instance, must not stand where align stood
    code = f"""
import spikeinterface_poyo, {", ".join(MODULES)}
print([n for n in spikeinterface_poyo.__all__ if not callable(getattr(spikeinterface_poyo, n))])
"""
    assert run(code).strip() == "[]"


def test_adapters_and_samples_know_nothing_of_torch():
    packages = ("spikeinterface_poyo.sessions.", "spikeinterface_poyo.inputs.")
    modules = [name for name in MODULES if name.startswith(packages)]
    modules += ["spikeinterface_poyo.network.windows", "spikeinterface_poyo.training.sampling"]
    imports = ", ".join(modules)
    assert run(f"import sys, {imports}; print('torch' in sys.modules)").strip() == "False"


def imported_by(module: str) -> set[str]:
    """Packages that a module imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(importlib.import_module(module)))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names}


FLOORS = [
    "paths recognition warning distributed recordings versions extras",
    "measures",
    "sessions",
    "inputs network",
    "readouts",
    "door fitted parameters",
    "pipelines weights",
    "training",
    "decoder",
    "estimator classifier",
    "postprocessing pretrain",
    "widgets",
    "unit_widgets",
]


def test_packages_import_from_lower_floors_only():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names.split()}
    for module in MODULES:
        _, here, *inside = module.split(".")
        for node in ast.walk(ast.parse(inspect.getsource(importlib.import_module(module)))):
            if isinstance(node, ast.ImportFrom) and node.level == len(inside) + 1:
                for name in [node.module] if node.module else [alias.name for alias in node.names]:
                    if name == "__version__":
                        continue
                    there = name.split(".")[0]
                    assert there == here or floor[there] < floor[here], f"{module} imports {name}"


@pytest.mark.parametrize("module", ["network.poyo", "network.rotary", "network.windows", "sessions.session"])
def test_the_network_knows_nothing_of_sklearn_and_spikeinterface(module):
    assert imported_by(f"spikeinterface_poyo.{module}").isdisjoint({"sklearn", "spikeinterface", "neo"})


def test_parameters_are_those_of_both_estimators():
    declared = set(Parameters.__annotations__)
    assert declared == set(spikeinterface_poyo.POYODecoder().get_params())
    assert declared == set(spikeinterface_poyo.POYOClassifier().get_params())


def defined_in(module: str) -> dict[str, object]:
    """Public classes and functions of a module, methods included."""
    found = {}
    loaded = importlib.import_module(module)
    for name, value in vars(loaded).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            found[name] = value
        if inspect.isclass(value):
            members = {key: getattr(value, key) for key in vars(value) if not key.startswith("_")}
            found |= {f"{name}.{key}": member for key, member in members.items() if inspect.isfunction(member)}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_has_a_docstring(module):
    assert importlib.import_module(module).__doc__
    undocumented = [name for name, value in defined_in(module).items() if not inspect.getdoc(value)]
    assert undocumented == []


@pytest.mark.parametrize("name", spikeinterface_poyo.__all__)
def test_docstrings_name_every_parameter(name):
    value = getattr(spikeinterface_poyo, name)
    parameters = [p for p in inspect.signature(value).parameters if p != "self"]
    text = inspect.getdoc(value)
    missing = [parameter for parameter in parameters if parameter not in text]
    assert missing == []


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_functions_stay_short(module):
    source, _ = inspect.getsourcelines(importlib.import_module(module))
    assert len(source) <= 360
    functions = {name: value for name, value in defined_in(module).items() if inspect.isfunction(value)}
    long = {name: n for name, value in functions.items() if (n := code_lines(value)) > 60}
    assert long == {}


def code_lines(function: object) -> int:
    """Lines of a function without its docstring."""
    lines = len(inspect.getsourcelines(function)[0])
    return lines - len((function.__doc__ or "").splitlines())
