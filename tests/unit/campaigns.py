"""A small campaign in a folder, to be read or spoilt."""

from engine.campaign import load

H2 = """
structure: {kind: atoms, species: [H, H], positions_bohr: [[0, 0, 0], [1.4, 0, 0]]}
"""
CHAIN = """
structure: {kind: chain, species: H, n_atoms: 2, spacing_bohr: 1.8, vacuum_bohr: 20}
supercell: [2, 1, 1]
twists: {grid: [4, 1, 1]}
literature: {value: -0.57, unit: ha_per_atom, source: somewhere}
"""
SLATER = """
ansatz: {name: slater}
pretrain: {steps: 0}
vmc: {steps: 0}
"""


def small(tmp_path):
    """Writes a campaign of a molecule and a chain, with a network and a determinant."""
    write(tmp_path, "materials/h2.yaml", H2)
    write(tmp_path, "materials/chain.yaml", CHAIN)
    write(tmp_path, "methods/net.yaml", "ansatz: {name: ferminet}\nvmc: {steps: 10}\n")
    write(tmp_path, "methods/slater.yaml", SLATER)
    write(
        tmp_path, "campaign.yaml", "seed: 5\nruns:\n  h2: [net, slater]\n  chain: [net, slater]\n"
    )
    return tmp_path


def write(folder, path, text):
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(text)


def checked(folder):
    campaign = load(root=folder)
    campaign.check()
    return campaign
