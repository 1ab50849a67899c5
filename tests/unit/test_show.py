"""How tables are printed."""

import pytest

from engine.io import table
from engine.stage import show
from tests.unit.evaluations import average_in


@pytest.fixture
def averaged(tmp_path):
    return average_in(tmp_path)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-1.174474, 0.00012, "-1.17447(12)"),
        (-1.174474, 0.000996, "-1.1745(10)"),
        (-76.03, 0.5, "-76.03(50)"),
        (1.0, 0.0, "1.000000"),
        (-2.903724, 0.000099, "-2.903724(99)"),
        (12.3, 2.0, "12.3(20)"),
        (123.4, 43.0, "123(43)"),
    ],
)
def test_numbers_with_errors(value, error, text):
    assert show.compact(value, error) == text


def lines_of(capsys):
    return capsys.readouterr().out.splitlines()


def test_the_printed_table(averaged, capsys):
    show.main([str(averaged / "energy.csv"), "--report", str(averaged / "twists.csv")])
    lines = lines_of(capsys)
    assert "energy (Ha/cell)" in lines[0] and "difference (mHa/cell)" in lines[0]
    # combined error: 6.1 mHa of the run and 2 mHa of the literature
    assert lines[2].split() == [
        *("chain", "net", "3", "-1.1250(61)", "-1.000000"),
        *("-125.00", "+-", "6.12", "-19.4"),
    ]
    assert any("primitive cell" in line for line in lines)
    assert not any("target" in line for line in lines)
    assert lines[-1].startswith("report: ")


def test_gamma_stands_below_an_average(averaged, capsys):
    show.main([str(averaged / "energy.csv")])
    gamma = lines_of(capsys)[3]
    # -2.0 per simulation cell of two primitive ones, and its own error
    assert gamma.split() == [
        "Gamma",
        "alone",
        "1",
        "-1.000(10)",
        "-1.000000",
        "+0.00",
        "+-",
        "10.00",
    ]


def test_no_gamma_without_twist_average_or_without_gamma(averaged, capsys):
    rows = table.read(averaged / "twists.csv")
    table.write(averaged / "twists.csv", [row | {"frac_1": 0.125} for row in rows])
    show.main([str(averaged / "energy.csv")])
    assert not any("alone" in line for line in lines_of(capsys))
    table.write(averaged / "twists.csv", rows)
    [row] = table.read(averaged / "energy.csv")
    table.write(averaged / "energy.csv", [row | {"n_twists": 1}])
    show.main([str(averaged / "energy.csv")])
    assert not any("alone" in line for line in lines_of(capsys))


def test_a_missed_target_is_marked_and_explained(averaged, capsys):
    [row] = table.read(averaged / "energy.csv")
    table.write(averaged / "both.csv", [row, row | {"method": "short", "target_reached": False}])
    show.main([str(averaged / "both.csv")])
    lines = lines_of(capsys)
    assert [line for line in lines if "-1.1250(61) *" in line] == [lines[4]]
    assert "short" in lines[4]
    assert lines[2].index("-1.1250(61)") == lines[4].index("-1.1250(61)")
    assert any(line.startswith("* ") and "target_error_ha_per_cell" in line for line in lines)


def test_training_that_is_not_at_its_end_is_marked_and_explained(averaged, capsys):
    [row] = table.read(averaged / "energy.csv")
    gains = {"done": (1.4e-3, 0.3e-3), "noisy": (9e-3, 5e-3), "gaining": (3e-3, 0.5e-3)}
    table.write(
        averaged / "all.csv",
        [
            row
            | {"method": name, "n_twists": 1, "target_reached": name != "gaining"}
            | {"training_gain_ha_per_cell": gain, "training_gain_error_ha_per_cell": error}
            for name, (gain, error) in gains.items()
        ],
    )
    show.main([str(averaged / "all.csv")])
    lines = lines_of(capsys)
    assert [line.split()[1] for line in lines if " *+ " in line] == ["gaining"]
    assert len({line.index("-1.1250(61)") for line in lines[2:5]}) == 1
    assert [line[0] for line in lines[-2:]] == ["*", "+"]


def test_a_campaign_shows_what_there_is_and_names_what_is_missing(averaged, capsys):
    folder = averaged / "project"
    (folder / "results/chain/net").mkdir(parents=True)
    for name in ("energy.csv", "twists.csv"):
        (averaged / name).rename(folder / "results/chain/net" / name)
    for path, text in {
        "materials/chain.yaml": "structure: {kind: molecule, name: H2}",
        "methods/net.yaml": "precision: float64",
        "methods/other.yaml": "precision: float32",
        "mine.yaml": "runs: {chain: [net, other]}",
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    show.main(["--campaign", "mine.yaml", "--root", str(folder)])
    lines = lines_of(capsys)
    assert lines[2].startswith("chain") and "Gamma alone" in lines[3]
    assert lines[-1] == "missing: chain/other"
    (folder / "results/chain/net/energy.csv").unlink()
    show.main(["--campaign", "mine.yaml", "--root", str(folder)])
    assert lines_of(capsys)[-1] == "missing: chain/net, chain/other"
