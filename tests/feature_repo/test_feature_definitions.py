from pathlib import Path

from feature_repo import feature_definitions
from feature_repo.feature_definitions import SERVICES, definitions
from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import REPOSITORY, Home
from feature_repo.on_demand_features import ON_DEMAND_TABLES


def test_feast_apply_imports_the_definitions_and_no_other_file() -> None:
    from feast.repo_operations import get_repo_files

    assert get_repo_files(REPOSITORY) == [REPOSITORY / "feature_definitions.py"]


def test_every_view_says_whose_it_is_what_it_means_and_what_makes_it(tmp_path: Path) -> None:
    defined = definitions(Home(tmp_path))
    for name in (*FEATURE_TABLES, *ON_DEMAND_TABLES):
        view = defined[name]
        assert view.owner
        assert view.description
        assert view.tags["made_by"]
    for name in FEATURE_TABLES:
        assert defined[name].ttl is not None
        assert all(field.description for field in defined[name].features)


def test_sources_are_the_tables_of_the_state_folder(tmp_path: Path) -> None:
    home = Home(tmp_path)
    defined = definitions(home)
    for name in FEATURE_TABLES:
        assert defined[name].batch_source.path == str(home.feature_table(name))
        assert defined[name].stream_source.name == f"{name}_push"


def test_plain_feast_finds_every_object_in_the_names_of_the_module() -> None:
    for name in ("item", "user", "category", *FEATURE_TABLES, *ON_DEMAND_TABLES, *SERVICES):
        assert getattr(feature_definitions, name).name == name


def test_definitions_of_two_folders_do_not_disturb_each_other(tmp_path: Path) -> None:
    first, second = definitions(Home(tmp_path / "a")), definitions(Home(tmp_path / "b"))
    assert first["item_profile"].batch_source.path != second["item_profile"].batch_source.path
    for name in ON_DEMAND_TABLES:
        transformations = [each[name].feature_transformation for each in (first, second)]
        assert transformations[0] == transformations[1]
