"""What was asked for last is kept, and what is forgotten stays forgotten."""

from coldstart_models.recent import Recent


def test_the_last_are_kept_and_made_once():
    made = []

    def ask(key):
        return recent.get(key, lambda: made.append(key) or key.upper())

    recent = Recent(2)
    assert [ask(key) for key in "abaca"] == ["A", "B", "A", "C", "A"]
    assert made == ["a", "b", "c"]
    ask("b")
    assert made == ["a", "b", "c", "b"]
    assert len(recent) == 2


def test_what_is_made_while_all_is_forgotten_is_told_and_not_kept():
    recent = Recent(2)

    def made():
        recent.clear()
        return "found"

    assert recent.get("a", made) == "found"
    assert len(recent) == 0
