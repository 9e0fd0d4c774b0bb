"""Two databases' lines, compared."""

from droplet.move_tenant.inventory import differences, summary

LINES = [
    ("content", "public.people", "2 rows, 7"),
    ("table", "public.people", "r p"),
    ("table", "public.visits", "r p"),
]


def test_equal_lines_in_any_order_are_the_same() -> None:
    assert differences(LINES, LINES[::-1]) == []


def test_what_differs_or_is_missing_on_either_side_is_named() -> None:
    target = [
        ("content", "public.people", "1 rows, 3"),
        ("table", "public.people", "r p"),
        ("index", "x", "t"),
    ]
    assert differences(LINES, target) == [
        "content public.people: 2 rows, 7 at the source, 1 rows, 3 at the target",
        "index x: missing at the source, t at the target",
        "table public.visits: r p at the source, missing at the target",
    ]


def test_a_summary_names_contents_and_counts_the_rest() -> None:
    assert summary(LINES) == ["public.people: 2 rows, 7", "1 x content, 2 x table"]
