"""A benchmark's JSON as Markdown: ``python -m benchmarks.tables FILE…``.

With ``--into README.md --name online_retail`` the tables take the place of what stands between
``<!-- table:online_retail -->`` and ``<!-- /table:online_retail -->``. ``--keep data,variant``
leaves the rows there that were not measured now, a row being known by these columns.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from validation.whole_files import replacing

METRICS: Final = ("recall@20", "ndcg@10", "mrr", "auc")
HEADING: Final = "ndcg@10"
"""The metric in the table of shots."""


def main() -> None:
    """Print the tables, or put them into a file."""
    parser = argparse.ArgumentParser(prog="benchmarks.tables", description=__doc__)
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        help="what `coldstart benchmark --json`, `coldstart encoders compare --out` or "
        "`make bench-NAME` wrote; several with --cells and --control",
    )
    parser.add_argument("--pools", default="cold", help="names, separated by commas, or `all`")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--cells", action="store_true", help="only the tables by kind of user and item"
    )
    kind.add_argument(
        "--control",
        action="store_true",
        help="only how well chances come true, and the control between general and personal",
    )
    parser.add_argument("--into", type=Path, help="a Markdown file with the place marked")
    parser.add_argument("--name", help="of the marked place")
    parser.add_argument(
        "--keep", help="columns, separated by commas, by which a row is known; others stay"
    )
    options = parser.parse_args()
    if len(options.files) > 1 and not (options.cells or options.control):
        parser.error("several files are for --cells and --control")
    results = [json.loads(file.read_text(encoding="utf-8")) for file in options.files]
    if options.keep is not None:
        if options.into is None or options.name is None or "rows" not in results[0]:
            parser.error("--keep is for what `make bench-NAME` wrote, with --into and --name")
        page = standing(options.into.read_text(encoding="utf-8"), name=options.name)
        results[0]["rows"] = kept(rows_of(page), results[0]["rows"], by=options.keep.split(","))
    text = _told(results, options)
    if options.into is None:
        sys.stdout.write(text)
        return
    if options.name is None:
        parser.error("--into needs --name, the name of the marked place")
    put(text, options.into, name=options.name)


def _told(results: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> str:
    """The tables that are asked for."""
    from benchmarks import breakdown_tables, control_tables  # they write by this module's functions

    if options.cells:
        return breakdown_tables.published(results)
    if options.control:
        return control_tables.published(results)
    (result,) = results
    if "benchmark" in result:
        return published(result)
    if "encoders" in result:
        return compared(result)
    wanted = None if options.pools == "all" else options.pools.split(",")
    return markdown(result, pools=wanted)


def markdown(result: Mapping[str, Any], *, pools: Sequence[str] | None = None) -> str:
    """One table of models and metrics a pool at zero shots, then one of shots.

    Args:
        pools: those to show; all where None.
    """
    rows = result["results"]
    names = list(dict.fromkeys(row["pool"] for row in rows if row["shots"] == 0))
    parts = []
    for pool in names:
        if ">" in pool or (pools is not None and pool not in pools):
            continue
        of_pool = [row for row in rows if row["pool"] == pool and row["shots"] == 0]
        parts.append(_pool_table(result, pool, of_pool))
    shots = _shots_table(rows)
    return "\n".join([*parts, *([shots] if shots else [])])


def kept(
    page: Sequence[Mapping[str, str]], rows: Sequence[Mapping[str, Any]], *, by: Sequence[str]
) -> list[Mapping[str, Any]]:
    """The page's rows, in their places each the newer of its kind, and then what the page lacks.

    Raises ValueError where the page's table has other columns.

    Args:
        by: the columns by which a row is known.
    """
    if page and rows and list(page[0]) != list(rows[0]):
        raise ValueError(f"the page has the columns {', '.join(page[0])}; leave out --keep")
    newer = {tuple(_cell(row[name]) for name in by): row for row in rows}
    return [*(newer.pop(tuple(row[name] for name in by), row) for row in page), *newer.values()]


def published(result: Mapping[str, Any]) -> str:
    """What `make bench-NAME` measured: its rows, then the machine and the other facts.

    A list of rows, such as the single points that the others are of, is left to the file.
    """
    rows = result["rows"]
    columns = list(rows[0]) if rows else []
    body = [[_cell(row[column]) for column in columns] for row in rows]
    measured = table(columns, body) if rows else ""
    facts = {
        name: value
        for name, value in result.items()
        if name not in ("benchmark", "rows") and not _are_rows(value)
    }
    told = "".join(f"- {name}: {fact(value)}\n" for name, value in facts.items())
    return f"{measured}\n{told}"


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)


def compared(result: Mapping[str, Any]) -> str:
    """What `coldstart encoders compare` measured: a table of encoders, and one of pairs."""
    rows, pairs = result["encoders"], result["pairs"]
    metrics = list(dict.fromkeys(name for row in rows for name in row["measured"]))
    head = f"{result['sample']} of {result['items']} items"
    split = f"; cold items: {result['split']}" if result["split"] else ""
    encoders = [
        [
            f"`{row['encoder']}`",
            row["modality"],
            str(row["width"]),
            row["licence"],
            f"{row['items_per_second']:.0f}",
            *_best_of(rows, row, metrics),
        ]
        for row in rows
    ]
    columns = ["encoder", "modality", "width", "licence", "items/s", *metrics]
    parts = [f"{head}{split}.\n", table(columns, encoders)]
    if pairs:
        recalls = list(pairs[0]["measured"])
        body = [
            [
                f"`{pair['image']}` and `{pair['text']}`",
                "shared" if pair["shared_space"] else "mapped",
                *_best_of(pairs, pair, recalls),
            ]
            for pair in pairs
        ]
        parts += [
            f"Title → photo, among {pairs[0]['candidates']} photos.\n",
            table(["photos and titles by", "space", *recalls], body),
        ]
    return "\n".join(parts)


def _best_of(
    rows: Sequence[Mapping[str, Any]], row: Mapping[str, Any], names: Sequence[str]
) -> list[str]:
    """The row's metrics with their intervals, each in bold where no other row is better."""
    cells = []
    for name in names:
        found = row["measured"].get(name)
        if found is None:
            cells.append("–")
            continue
        best = max(one["measured"][name]["value"] for one in rows if name in one["measured"])
        bounds = interval((found["low"], found["high"]))
        cells.append(f"{number(found['value'], best=found['value'] == best)} ({bounds})")
    return cells


def put(tables: str, document: Path, *, name: str) -> None:
    """Put the tables between a document's marks. Raises ValueError where it has none."""
    text = placed(document.read_text(encoding="utf-8"), tables, name=name)
    with replacing(document) as partial:
        partial.write_text(text, encoding="utf-8")


def placed(text: str, tables: str, *, name: str) -> str:
    """The text with the tables between the marks of that name. Raises ValueError without them."""
    before, _, after = _around(text, name)
    return f"{before}\n{tables}{after}"


def standing(text: str, *, name: str) -> str:
    """What stands between the marks of that name. Raises ValueError without them."""
    return _around(text, name)[1]


def _around(text: str, name: str) -> tuple[str, str, str]:
    """The text up to the opening mark and with it, what is between them, and what follows."""
    opening, closing = f"<!-- table:{name} -->", f"<!-- /table:{name} -->"
    before, found, rest = text.partition(opening)
    between, ended, after = rest.partition(closing)
    if not found or not ended:
        raise ValueError(f"no place {opening} … {closing} in the text")
    return before + opening, between, closing + after


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows of the one table in a text, as column → cell; none without a table.

    Raises ValueError where a row has more cells than there are columns, or fewer.
    """
    lines = [line for line in text.splitlines() if line.startswith("|")]
    bare = [line.strip().removeprefix("|").removesuffix("|") for line in lines]
    cells = [[cell.strip() for cell in line.split("|")] for line in bare]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def ordered(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """The names as another list has them, those that it lacks last."""
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _pool_table(result: Mapping[str, Any], pool: str, rows: Sequence[Mapping[str, Any]]) -> str:
    made_up = generated(result)
    head = (
        f"Pool `{pool}`{made_up}: {result['split']}; {rows[0]['num_users']} users, "
        f"{rows[0]['num_candidates']} candidates, {result['seeds']} seed(s).\n"
    )
    best = {
        name: max((row[name] for row in rows if row[name] is not None), default=None)
        for name in METRICS
    }
    body = [
        [
            f"`{row['model']}`",
            *(number(row[name], best=row[name] == best[name]) for name in METRICS),
            interval(row["interval"].get(HEADING)),
        ]
        for row in rows
    ]
    return f"{head}\n{table(['model', *METRICS, f'{HEADING}, 95 %'], body)}"


def _shots_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """NDCG@10 after k first customers, beside nobody's on the same pool; empty without shots."""
    pools = list(dict.fromkeys(row["pool"] for row in rows if ">" in row["pool"]))
    if not pools:
        return ""
    models = list(dict.fromkeys(row["model"] for row in rows if row["pool"] in pools))
    found = {(row["model"], row["pool"], row["shots"] > 0): row[HEADING] for row in rows}
    body = [
        [
            f"`{model}`",
            *(
                f"{number(found.get((model, pool, False)))} → "
                f"{number(found.get((model, pool, True)))}"
                for pool in pools
            ),
        ]
        for model in models
    ]
    columns = [f"k = {pool.partition('>')[2]}" for pool in pools]
    head = (
        f"{HEADING} without → with a listing's first k customers, each pair on the same pool "
        "(cold items with more than k):\n"
    )
    return f"{head}\n{table(['model', *columns], body)}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left and the others to the right."""
    lines = [columns, ["---", *(["---:"] * (len(columns) - 1))], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def fact(value: object) -> str:
    """A value as people read it, a mapping as names and values."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {fact(one)}" for name, one in value.items())
    return _cell(value)


def generated(result: Mapping[str, Any]) -> str:
    """What a name is followed by where its data was made up by us."""
    return ", generated data" if result.get("generated") else ""


def number(value: float | None, *, best: bool = False) -> str:
    """A metric to four digits, in bold where it is the best."""
    if value is None:
        return "–"
    text = f"{value:.4f}".removeprefix("0") if value < 1 else f"{value:.4f}"
    return f"**{text}**" if best else text


def signed(value: float) -> str:
    """A difference of metrics with its sign."""
    return f"{_sign(value)}{number(abs(float(value)))}"


def percent(value: float) -> str:
    """A share of change with its sign, in per cent to one digit, without the unit."""
    return f"{_sign(value)}{abs(value) * 100:.1f}"


def spread(mean: float, bounds: Sequence[float], told: Callable[[float], str] = signed) -> str:
    """A change and its interval in brackets."""
    low, high = bounds
    return f"{told(mean)} ({told(low)} to {told(high)})"


def _sign(value: float) -> str:
    return "+" if value >= 0 else "−"


def interval(bounds: Sequence[float] | None) -> str:
    """Two metrics and a dash."""
    return "–" if bounds is None else f"{number(bounds[0])}–{number(bounds[1])}"


if __name__ == "__main__":
    main()
