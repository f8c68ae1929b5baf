import inspect
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from sits_models import registry
from sits_models.catalogue import BUILT_IN, Card
from sits_models.errors import InvalidConfig, UnknownName
from sits_models.registry import KINDS, Kind, card, create, names, register, target

PLUGIN = '''
from sits_models.registry import register

@register("backbones", name="tiny_plugin", paper="nobody, 2026", defaults={"width": 3}, parameters=0)
class Tiny:
    """Three numbers."""
    def __init__(self, width, in_channels=10):
        self.width, self.in_channels = width, in_channels
'''


@pytest.fixture
def own_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_cards", dict(registry._cards))
    registry._load_plugins.cache_clear()


def install(site: Path, module: str, code: str, entry: str) -> None:
    """What pip leaves of a package with one module and one entry point."""
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sits_models.backbones]\n{entry}\n")


def test_catalogue_is_listed_by_kind() -> None:
    assert names("methods")[:2] == ("simclr", "dino")
    assert names("backbones")[:3] == ("planar_vit_nano", "planar_vit_tiny", "planar_vit_small")
    assert names("tasks")[:1] == ("classification",)
    assert names("datasets")[:1] == ("planar",)


@pytest.mark.parametrize("one", BUILT_IN, ids=lambda one: one.name)
def test_card_tells_the_truth(one: Card) -> None:
    known = inspect.signature(target(one.kind, one.name)).parameters
    assert set(one.defaults) <= set(known)
    if one.parameters is not None:
        made = create(one.kind, one.name)
        assert made.in_channels == 10
        assert sum(weight.numel() for weight in made.parameters()) == one.parameters


def test_create_overrides_defaults() -> None:
    made = create("backbones", "planar_vit_nano", in_channels=4, dim=48)
    assert (made.in_channels, made.embed_dim) == (4, 48)


@pytest.mark.usefixtures("own_cards")
def test_decorator_registers_and_leaves_the_class_alone() -> None:
    class Mean:
        """The mean over time."""

    assert register("backbones", name="mean", form="chip")(Mean) is Mean
    assert card("backbones", "mean").form == "chip"
    assert card("backbones", "mean").summary == "The mean over time."
    assert names("backbones")[-1] == "mean"
    with pytest.raises(InvalidConfig, match="names of backbones must differ, 'mean' is"):
        register("backbones", name="mean")(dict)


@pytest.mark.usefixtures("own_cards")
def test_installed_plugin_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "tiny_plugin_package", PLUGIN, "tiny = tiny_plugin_package")
    monkeypatch.syspath_prepend(tmp_path)
    made = create("backbones", "tiny_plugin", in_channels=4)
    assert (made.width, made.in_channels) == (3, 4)
    assert card("backbones", "tiny_plugin").paper == "nobody, 2026"


@pytest.mark.usefixtures("own_cards")
def test_broken_plugin_is_named_and_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(
        tmp_path, "broken_plugin_package", "import nothing_of_that_name", "b = broken_plugin_package"
    )
    install(tmp_path, "tiny_plugin_package2", PLUGIN, "tiny = tiny_plugin_package2")
    monkeypatch.syspath_prepend(tmp_path)
    with caplog.at_level(logging.WARNING, "sits_models"):
        assert "tiny_plugin" in names("backbones")
        names("backbones")
    assert len(caplog.messages) == 1
    assert "broken_plugin_package" in caplog.messages[0]
    assert "nothing_of_that_name" in caplog.messages[0]


@pytest.mark.parametrize(
    ("kind", "name", "error", "message"),
    [
        ("methods", "simclrr", UnknownName, "did you mean simclr? there are simclr, dino"),
        ("methods", "xyz", UnknownName, "no method is called 'xyz'; there are simclr, dino"),
        ("models", "simclr", InvalidConfig, "must be one of methods, backbones, tasks, datasets"),
    ],
)
def test_unknown_names_are_told(kind: Kind, name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        card(kind, name)
    assert message in str(raised.value)


def test_unknown_argument_is_told() -> None:
    with pytest.raises(InvalidConfig, match=r"planar_vit_nano cannot be made of .*wings"):
        create("backbones", "planar_vit_nano", wings=2)


def test_listing_needs_no_torch() -> None:
    code = "import sys; from sits_models.registry import KINDS, names; [names(k) for k in KINDS]; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert len(KINDS) == 4
