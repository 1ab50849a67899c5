"""The figure of all results beside the literature: everything in it can be read."""

import pytest
from plots.literature import literature_figure


def row(material, n_atoms, difference):
    return {
        "material": material,
        "method": "transferable-demo",
        "n_atoms": n_atoms,
        "n_electrons": 14,
        "difference_ha_per_cell": difference,
        "error_ha_per_cell": 1e-3,
    }


@pytest.mark.parametrize(
    ("rows", "label"),
    [
        ([row("h2", 2, 1e-3)], "energy - literature (mHa / atom)"),
        ([row("electron-gas-14", 0, 1e-3)], "energy - literature (mHa / electron)"),
        (
            [row("electron-gas-7-polarised-rs10", 0, 0.1), row("h4-chain-quarter", 2, 1e-3)],
            "energy - literature (mHa / electron or atom)",
        ),
    ],
)
def test_labels_are_on_the_canvas(rows, label):
    figure = literature_figure(rows)
    figure.canvas.draw()
    (ax,) = figure.axes
    assert figure.get_supxlabel() == label
    for text in (figure._supxlabel, *ax.get_yticklabels()):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, text.get_text()
