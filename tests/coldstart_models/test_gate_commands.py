"""`validate`, `ingest` and `quarantine` as a merchandiser uses them, one after the other."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from feature_repo.home import Home

ITEMS = "item_id,title,price,currency,category\n"
GOOD = "lamp,Brass lamp,12.50,EUR,Home > Lamps\nvase,Blue vase,9,EUR,Home > Vases\n"
BAD = "rug,Wool rug,-80,EUR,Home > Rugs\n,Nameless stool,5,EUR,Home > Stools\n"


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "items.csv").write_text(ITEMS + GOOD + BAD)
    (folder / "events.csv").write_text(
        "user_id,item_id,event_type,timestamp\nu,lamp,click,2026-01-02\nu,rug,click,2026-01-03\n"
    )
    return folder


def as_of(*arguments):
    return (*arguments, "--as-of", "2026-03-01")


def test_validate_tells_what_to_mend_and_keeps_nothing(coldstart, tmp_path, shop):
    code, out, _ = coldstart(*as_of("validate", "shop/items.csv", "--alone"))
    assert code == 3
    assert "price is '-80', which is negative" in out
    code, out, _ = coldstart(*as_of("validate", "shop/items.csv", "--json"))
    told = json.loads(out)
    assert [(one["received"], one["quarantined"]) for one in told["tables"]] == [(4, 2)]
    assert {row["key"] for row in told["tables"][0]["rows"]} == {"rug", None}
    assert not (tmp_path / "state").exists()


def test_the_exit_code_says_whether_rows_are_blocked(coldstart, tmp_path):
    (tmp_path / "good.csv").write_text(ITEMS + GOOD)
    (tmp_path / "weak.csv").write_text(ITEMS + "a,<b>Lamp</b>,1,EUR,Home\n")
    (tmp_path / "headless.csv").write_text("title,price\nLamp,1\n")
    assert coldstart(*as_of("validate", "good.csv"))[0] == 0
    assert coldstart(*as_of("validate", "weak.csv"))[0] == 0
    assert coldstart(*as_of("validate", "weak.csv", "--fail-on", "warn"))[0] == 3
    code, out, _ = coldstart(*as_of("validate", "headless.csv"))
    assert code == 3
    assert "every row is blocked" in out
    assert "item_id" in out
    code, _, told = coldstart(*as_of("validate", "nosuch.csv"))
    assert code == 2
    assert "there is no file nosuch.csv" in told


def test_validate_writes_a_report_and_junit_of_a_source_with_events(coldstart, tmp_path, shop):
    code, _, _ = coldstart(
        *as_of("validate", "table:shop", "--report", "q.html", "--junit", "q.xml")
    )
    assert code == 3
    assert "Wool rug" in (tmp_path / "q.html").read_text()
    suites = ElementTree.parse(tmp_path / "q.xml").getroot().findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["items", "events"]


def test_validate_holds_back_events_on_another_sources_listings_as_ingest_does(
    coldstart, tmp_path, shop
):
    assert coldstart(*as_of("ingest", "table:shop"))[0] == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "items.csv").write_text(ITEMS + "stool,Oak stool,5,EUR,Home > Stools\n")
    (other / "events.csv").write_text(
        "user_id,item_id,event_type,timestamp\nu,stool,click,2026-01-02\nu,lamp,click,2026-01-03\n"
    )
    told = json.loads(coldstart(*as_of("validate", "table:other", "--json"))[1])
    assert [(one["received"], one["quarantined"]) for one in told["tables"]] == [(1, 0), (2, 1)]
    done = json.loads(coldstart(*as_of("ingest", "table:other", "--json"))[1])
    assert done["events"]["reasons"] == told["tables"][1]["reason_counts"] == {"known_item": 1}


def test_a_number_that_a_held_row_lacks_is_no_reason_to_hold_it_again(coldstart, tmp_path):
    shop = tmp_path / "sparse"
    shop.mkdir()
    (shop / "items.csv").write_text(
        "item_id,title,price\nlamp,Brass lamp,20\nvase,,\nrug,Wool rug,\n"
    )
    (shop / "interactions.csv").write_text(
        "user_id,item_id,timestamp,quantity\n"
        "ann,lamp,2024-05-01,\nben,lamp,not a day,\ncat,rug,2024-05-02,2\n"
    )
    assert coldstart(*as_of("ingest", "table:sparse"))[0] == 0
    for table, column, mended in (
        ("items", "title", "Clay vase"),
        ("events", "event_timestamp", "2024-05-03"),
    ):
        assert coldstart("quarantine", "export", "held.csv", "--table", table)[0] == 0
        with open(tmp_path / "held.csv", newline="") as file:
            (row,) = csv.DictReader(file)
        assert "NaN" not in row.values()
        with open(tmp_path / "held.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerow(row | {column: mended})
        sent = coldstart(*as_of("quarantine", "resubmit", "held.csv", "--table", table, "--json"))
        assert json.loads(sent[1]) == [{"table": table, "submitted": 1, "accepted": 1, "held": 0}]


def test_a_mended_row_leaves_quarantine_and_its_events_follow(coldstart, tmp_path, shop):
    assert coldstart(*as_of("ingest", "table:shop"))[0] == 0
    home = Home(tmp_path / "state")
    code, out, _ = coldstart("quarantine", "list", "--json")
    assert (code, json.loads(out)["held"]) == (0, {"events": 1, "items": 2})
    assert "which is negative" in coldstart("quarantine", "show", "rug")[1]

    assert coldstart("quarantine", "export", "held.csv")[0] == 0
    with open(tmp_path / "held.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["price"] = row["price"].lstrip("-")
    with open(tmp_path / "held.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)

    code, out, _ = coldstart(*as_of("quarantine", "resubmit", "held.csv", "--json"))
    assert code == 0
    assert json.loads(out) == [{"table": "items", "submitted": 2, "accepted": 1, "held": 1}]
    assert set(pd.read_parquet(home.items)["item_id"]) == {"lamp", "vase", "rug"}
    assert json.loads(coldstart("quarantine", "list", "--json")[1])["held"]["items"] == 1

    code, out, _ = coldstart(*as_of("quarantine", "resubmit", "--json"))
    assert json.loads(out) == [
        {"table": "items", "submitted": 1, "accepted": 0, "held": 1},
        {"table": "events", "submitted": 1, "accepted": 1, "held": 0},
    ]
    assert len(pd.read_parquet(home.events)) == 2
    info = json.loads(coldstart("info", "--json")[1])
    assert info["sources"]["shop"]["spec"].startswith("table:")
    assert (info["sources"]["shop"]["items"], info["sources"]["shop"]["events"]) == (3, 2)

    steps = [run["step"] for run in json.loads(coldstart("validate", "history", "--json")[1])]
    assert steps == ["ingest", "ingest", *["resubmit"] * 3]


def test_rows_that_are_not_held_are_refused(coldstart, tmp_path, shop):
    coldstart(*as_of("ingest", "table:shop"))
    (tmp_path / "made_up.csv").write_text("fingerprint,source,item_id,title\nf,shop,a,A lamp\n")
    code, _, err = coldstart(*as_of("quarantine", "resubmit", "made_up.csv"))
    assert code == 2
    assert "not in the quarantine of items" in err
    (tmp_path / "bare.csv").write_text("item_id,title\na,A lamp\n")
    code, _, err = coldstart(*as_of("quarantine", "resubmit", "bare.csv"))
    assert (code, "fingerprint, source" in err) == (2, True)
    assert coldstart("quarantine", "show", "nosuch")[0] == 2
    assert coldstart("quarantine", "export", "held.xlsx")[0] == 2
    assert coldstart("quarantine", "export", "a/new/folder/held.jsonl")[0] == 0
    assert Path("a/new/folder/held.jsonl").read_text()
    code, _, err = coldstart(*as_of("quarantine", "resubmit", "absent.csv"))
    assert (code, err.count("\n")) == (2, 1)
    assert "there is no file absent.csv" in err


def test_every_check_is_listed_once_with_its_sentence(coldstart):
    code, out, _ = coldstart("validate", "checks", "--json")
    told = json.loads(out)
    assert (code, list(told)) == (0, ["items", "events", "embeddings", "pairs"])
    for checks in told.values():
        names = [one["name"] for one in checks]
        assert len(names) == len(set(names))
        assert all(one["sentence"] and one["severity"] in ("block", "warn") for one in checks)
    assert {"price_usual", "photo_blurred"} <= {one["name"] for one in told["items"]}
    assert "photo_blurred" in coldstart("validate", "checks")[1]
