"""Columns of a CSV file in a document."""

import pytest

from benchmarks.csv_table import main


@pytest.fixture
def document(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/trials.csv").write_text('name,"rate, first",error\na,1e-3,0.5\nb,,-0.25\n')
    path = tmp_path / "page.md"
    path.write_text("<!-- trials -->\n<!-- /trials -->\n")
    return path


def write(document, *arguments):
    file = str(document.parent / "raw/trials.csv")
    return main([file, *arguments, "--update", str(document), "--marker", "trials"])


def test_chosen_columns_and_a_link_to_all(document):
    assert write(document, "--columns", "error;rate, first") == 0
    assert document.read_text().splitlines()[1:-1] == [
        "| error | rate, first |",
        "| ---: | ---: |",
        "| 0.5 | 1e-3 |",
        "| -0.25 |  |",
        "",
        "All columns: [trials.csv](raw/trials.csv).",
    ]


def test_all_columns_need_no_link(document):
    assert write(document) == 0
    assert "| name | rate, first | error |" in document.read_text()
    assert "All columns" not in document.read_text()


def test_an_unknown_column_is_refused(document, capsys):
    assert write(document, "--columns", "nmea") == 2
    assert "has no column 'nmea'; it has name; rate, first; error" in capsys.readouterr().err
