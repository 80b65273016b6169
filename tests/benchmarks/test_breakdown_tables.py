from benchmarks import breakdown_tables


def of(model, by, group, ndcg, *, count=4):
    return {
        "model": model, "by": by, "group": group, "recall@20": 0.5, "ndcg@10": ndcg, "count": count
    }  # fmt: skip


def result(*breakdowns, source="shop", **more):
    split = "cutoff 2010-07-01"
    return {"source": source, "split": split, "breakdowns": list(breakdowns), **more}


WARMTH = [
    of("popularity", "category", "Lamps", None),
    of("popularity", "warmth", "new", 0.1),
    of("popularity", "warmth", "1–5", 0.3, count=7),
    of("siamese", "warmth", "new", 0.2),
    of("siamese", "warmth", "1–5", 0.25, count=7),
]


def test_cells_are_tables_of_models_and_groups_without_the_pairs_and_say_who_is_ahead():
    assert breakdown_tables.published([result(*WARMTH)]) == (
        "**shop**: cutoff 2010-07-01.\n\n"
        "ndcg@10 by warmth (users in brackets):\n\n"
        "| model | new (4) | 1–5 (7) |\n"
        "| --- | ---: | ---: |\n"
        "| `popularity` | .1000 | **.3000** |\n"
        "| `siamese` | **.2000** | .2500 |\n"
        "| `siamese` − `popularity` | +.1000 | −.0500 |\n\n"
        "`siamese` is behind `popularity` in 1 of 2 cells: "
        "warmth 1–5 (7 users): −.0500.\n"
    )


def test_no_cell_lost_is_said_of_each_source():
    told = breakdown_tables.published(
        [
            result(of("popularity", "history", "1–4", 0.1), of("siamese", "history", "1–4", 0.1)),
            result(*WARMTH[1:2], WARMTH[3], source="other", generated=True),
        ]
    )
    assert "**other**, generated data: " in told
    one = "`siamese` is at least `popularity` in all 1 cells.\n"
    assert told.count(one) == 2
    assert told.endswith(one)


def test_a_cell_that_one_of_both_lacks_is_not_called_won():
    told = breakdown_tables.published([result(*WARMTH[:4])])
    assert "| `siamese` − `popularity` | +.1000 | – |" in told
    assert told.endswith("in all 1 cells. In 1 one of the two was not measured.\n")
    alone = breakdown_tables.published([result(*WARMTH[:3])])
    assert alone.endswith(
        "No cell has both `siamese` and `popularity`. In 2 one of the two was not measured.\n"
    )


def test_an_interval_is_shown_where_it_is_known_and_says_what_may_be_chance():
    rows = [
        of("popularity", "warmth", "new", 0.3),
        of("popularity", "warmth", "1–5", 0.3),
        of("siamese", "warmth", "new", 0.2) | {"over_popularity": [-0.15, -0.05]},
        of("siamese", "warmth", "1–5", 0.28) | {"over_popularity": [-0.05, 0.01]},
    ]
    told = breakdown_tables.published([result(*rows)])
    leads = "−.1000 (−.1500 to −.0500) | −.0200 (−.0500 to +.0100) |"
    assert f"| `siamese` − `popularity` | {leads}" in told
    assert (
        "behind `popularity` in 2 of 2 cells: warmth new (4 users): −.1000 (−.1500 to −.0500);"
        in told
    )
    assert told.endswith("−.0200 (−.0500 to +.0100), within its interval.\n")
