"""The command `coldstart`: one file a subcommand in `coldstart_models.commands`."""

import sys

import typer

from coldstart_models.commands import (
    aggregate,
    apply,
    benchmark,
    build,
    demo,
    evaluate,
    extract,
    info,
    ingest,
    listings,
    materialize,
    meta_train,
    recommend,
    serve,
    train,
)

app = typer.Typer(
    name="coldstart",
    help="Recommend home-goods listings nobody has clicked yet.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    ingest,
    extract,
    aggregate,
    apply,
    materialize,
    train,
    meta_train,
    evaluate,
    benchmark,
    recommend,
    listings,
    build,
    serve,
    demo,
    info,
):
    app.command(name=command.NAME, epilog=command.EXAMPLES)(command.run)


def main() -> None:
    """Run a command; an error of ours becomes one line and exit code 2, a bug its traceback."""
    try:
        app()
    except SystemExit:  # first, so that a plain exit does not import the packages below
        raise
    except _errors_of_ours() as error:
        print(f"coldstart: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None


def _errors_of_ours() -> tuple[type[Exception], ...]:
    """The roots of the packages' exception trees; looked up when something was raised."""
    from coldstart_models.errors import ModelError
    from feature_repo.catalogs.source import SourceError
    from feature_repo.errors import FeatureError
    from validation.errors import ValidationError
    from validation.tables import TableError

    return (ModelError, FeatureError, SourceError, ValidationError, TableError)


if __name__ == "__main__":
    main()
