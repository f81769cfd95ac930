import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

import tests.workers.sinks
import workers.sinks
from workers.testing.contract import SinkContract


def sink_modules() -> set[str]:
    return {found.name for found in pkgutil.iter_modules(workers.sinks.__path__) if not found.name.startswith("_")}


def modules_of_tests() -> Iterable[ModuleType]:
    for found in pkgutil.iter_modules(tests.workers.sinks.__path__):
        if found.name.startswith("test_"):
            yield importlib.import_module(f"tests.workers.sinks.{found.name}")


def under_contract(modules: Iterable[ModuleType]) -> set[str]:
    """The sinks some test class inherits the contract for."""
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    kept = [one for one in classes if issubclass(one, SinkContract) and one is not SinkContract]
    return {one.module.__name__.rpartition(".")[2] for one in kept}


def test_every_sink_inherits_the_contract() -> None:
    assert sink_modules() - under_contract(modules_of_tests()) == set()
    assert {"file", "http", "stdout"} <= sink_modules()


def test_a_sink_without_a_contract_is_noticed() -> None:
    others = [module for module in modules_of_tests() if ".test_http" not in module.__name__]
    assert sink_modules() - under_contract(others) == {"http"}
