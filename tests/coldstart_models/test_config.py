"""Which file is read, and where what it names lies."""

from pathlib import Path

import pytest

from coldstart_models.config import CONFIG_VARIABLE, config_file, load_config
from coldstart_models.errors import ConfigError


def test_an_option_goes_before_the_environment_and_that_before_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    assert config_file() is None
    assert load_config().train.seed == 0
    for number, name in enumerate(("coldstart.toml", "environment.toml", "option.toml"), start=1):
        (tmp_path / name).write_text(f"[train]\nseed = {number}\n")
    assert load_config().train.seed == 1
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "environment.toml"))
    assert load_config().train.seed == 2
    assert load_config(tmp_path / "option.toml").train.seed == 3


def test_a_file_that_is_named_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="there is no configuration file"):
        load_config(tmp_path / "none.toml")
    monkeypatch.setenv(CONFIG_VARIABLE, "none.toml")
    with pytest.raises(ConfigError, match=r"there is no configuration file none\.toml"):
        config_file()


def test_suites_lie_beside_the_file_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service's workers have another working directory than who starts them."""
    file = tmp_path / "shop" / "coldstart.toml"
    file.parent.mkdir()
    file.write_text("[gate]\nitems_suite = 'gx/ours.json'\nevents_suite = 'shop_checks:events'\n")
    monkeypatch.chdir(tmp_path)
    gate = load_config(Path("shop/coldstart.toml")).gate
    assert gate.items_suite == str(tmp_path / "shop" / "gx" / "ours.json")
    assert gate.events_suite == "shop_checks:events"
    file.write_text("[gate]\nitems_suite = '/srv/gx/ours.json'\n")
    assert load_config(file).gate.items_suite == "/srv/gx/ours.json"


def test_a_device_is_named_as_the_option_names_it(tmp_path: Path) -> None:
    file = tmp_path / "coldstart.toml"
    for name in ("cpu", "auto", "cuda", "cuda:1"):
        file.write_text(f"[train]\ndevice = '{name}'\n")
        assert load_config(file).train.device == name
    file.write_text("[train]\ndevice = 'gpu'\n")
    with pytest.raises(ConfigError, match=r"train\.device is 'gpu'"):
        load_config(file)
