"""The command `coldstart`: one file a subcommand in `coldstart_models.commands`."""

import sys
from typing import Final

import typer
from typer.exceptions import TyperException

from coldstart_models.commands import (
    aggregate,
    apply,
    benchmark,
    build,
    consume,
    demo,
    encoders,
    evaluate,
    experiment,
    extract,
    info,
    ingest,
    keys,
    listings,
    materialize,
    meta_train,
    models,
    pretrain,
    quarantine,
    recommend,
    serve,
    skew,
    train,
    tune,
    users,
    validate,
)

NAME: Final = "coldstart"

app = typer.Typer(
    name=NAME,
    help="Recommend home-goods listings nobody has clicked yet.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    validate,
    ingest,
    extract,
    aggregate,
    apply,
    materialize,
    pretrain,
    train,
    meta_train,
    tune,
    evaluate,
    benchmark,
    recommend,
    listings,
    consume,
    build,
    serve,
    demo,
    info,
    skew,
):
    app.command(name=command.NAME, epilog=command.EXAMPLES)(command.run)
app.add_typer(quarantine.app, name=quarantine.NAME)
app.add_typer(encoders.app, name=encoders.NAME)
app.add_typer(experiment.app, name=experiment.NAME)
app.add_typer(models.app, name=models.NAME)
app.add_typer(users.app, name=users.NAME)
app.add_typer(keys.app, name=keys.NAME)


def main() -> None:
    """Run a command; a user's error becomes one line and exit code 2, a bug its traceback."""
    try:
        sys.exit(app(prog_name=NAME, standalone_mode=False))
    except typer.Abort:
        sys.exit(1)
    except TyperException as error:
        print(_usage_error(error), file=sys.stderr)
        raise SystemExit(2) from None
    except SystemExit:  # first, so that a plain exit does not import the packages below
        raise
    except _errors_of_ours() as error:
        print(f"coldstart: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None


def _usage_error(error: TyperException) -> str:
    """One line about wrong arguments; the whole help where there were none."""
    message = error.format_message()
    if not sys.argv[1:]:
        return message
    return f"coldstart: {' '.join(message.split()).rstrip('.')}; see `coldstart --help`"


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
