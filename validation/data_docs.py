"""Great Expectations' Data Docs of gate runs: a local site, built without a network."""

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from validation.engine import new_context
from validation.summary import Summary

if TYPE_CHECKING:
    from great_expectations.data_context import AbstractDataContext

SITE: Final = "gate"


def build(results: Sequence[Summary], folder: Path) -> Path:
    """Write the site of these results into `folder` and return its index page.

    The site is built beside the old one and takes its place when it is complete.
    """
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    context = _context(building)
    for number, result in enumerate(results):
        for suite_name, validation in result.validation.items():
            _add(context, f"{number + 1}_{suite_name}", validation, result.checked_at)
    context.build_data_docs(site_names=[SITE])
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return folder / "index.html"


def _context(site: Path) -> "AbstractDataContext":
    context = new_context()
    for name in list(context.list_data_docs_sites()):
        context.delete_data_docs_site(name)
    context.add_data_docs_site(
        SITE,
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(site),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    return context


def _add(
    context: "AbstractDataContext", batch: str, validation: dict[str, Any], now: datetime
) -> None:
    """Put one suite and its result where the site builder finds them."""
    from great_expectations import ExpectationSuite
    from great_expectations.core import RunIdentifier
    from great_expectations.core.expectation_validation_result import (
        expectationSuiteValidationResultSchema,
    )
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    from validation import expectations  # noqa: F401 - makes our expectations known by name

    loaded = expectationSuiteValidationResultSchema.load(validation)
    run = RunIdentifier(run_name=batch, run_time=now)
    loaded.meta["run_id"] = run
    suite = ExpectationSuite(
        name=loaded.suite_name,
        expectations=[entry.expectation_config for entry in loaded.results],
    )
    context.suites.add_or_update(suite)
    context.validation_results_store.store_validation_results(
        suite_validation_result=loaded,
        suite_validation_result_identifier=ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(name=loaded.suite_name),
            run_id=run,
            batch_identifier=batch,
        ),
    )
