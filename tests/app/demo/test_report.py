"""What is printed, and the command."""

import io

from click.testing import CliRunner

from app.cli.demo import demo
from app.demo.report import PlainReport, report_for
from app.demo.scene import Scene


def scene() -> Scene:
    made = Scene(3, "A title", "Something is expected.")
    made.saw("It was seen \x1b[31mred\x1b[0m and\nbroken.")
    made.show(("one", "two"), [("a", "b\tc"), ("longer", "d")])
    made.expect("a thing", 1, 2)
    made.elapsed_s = 1.25
    return made


def test_plain_text_is_aligned_and_free_of_control_characters() -> None:
    stream = io.StringIO()

    PlainReport(stream).scene(scene())

    assert stream.getvalue() == (
        " 3. A title  [FAILED, 1.2 s]\n"
        "    Expected: Something is expected.\n"
        "    Seen: It was seen ?[31mred?[0m and?broken.\n"
        "    one     two\n"
        "    ------  ---\n"
        "    a       b?c\n"
        "    longer  d\n"
        "    FAILED: a thing\n"
        "        expected: 1\n"
        "        got:      2\n"
        "\n"
    )


def test_what_an_encoding_does_not_have_is_replaced() -> None:
    raw = io.BytesIO()

    stream = io.TextIOWrapper(raw, encoding="ascii")
    PlainReport(stream).note("three … dots")

    assert raw.getvalue() == b"three ? dots\n"


def test_progress_is_told_four_times() -> None:
    stream = io.StringIO()

    with PlainReport(stream).progress("things", 100) as advance:
        for _ in range(100):
            advance()

    assert stream.getvalue() == "... 25 of 100 things\n... 50 of 100 things\n... 75 of 100 things\n... 100 of 100 things\n"


def test_a_pipe_gets_plain_text() -> None:
    assert isinstance(report_for(io.StringIO()), PlainReport)


def test_the_command_asks_for_a_key() -> None:
    result = CliRunner().invoke(demo, [], env={"PARTNER_API_DEMO_API_KEY": ""})

    assert result.exit_code == 2
    assert "--api-key" in result.output


def test_help_names_the_variables() -> None:
    output = CliRunner().invoke(demo, ["--help"]).output

    for name in ("GRAPHQL_URL", "API_KEY", "BANK_URL", "BANK_CONTROL_URL"):
        assert f"PARTNER_API_DEMO_{name}" in output
