"""The rotation kit against exact properties, PySCF's orbitals and e3nn."""

import jax.numpy as jnp
import numpy as np
import pytest

from engine.learned.coupling import clebsch_gordan
from engine.learned.harmonics import from_pyscf, harmonics, to_pyscf
from engine.learned.irreps import Irreps, product_table
from engine.learned.orbitals import OrbitalBasis
from engine.learned.rotation import bond_frame, wigner_d

DEGREES = range(5)
RNG = np.random.default_rng(11)


def orthogonal(sign=1.0, count=None):
    """Returns random rotations, or (sign -1) reflections combined with one."""
    q, r = np.linalg.qr(RNG.normal(size=(*(() if count is None else (count,)), 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    return q * (sign * np.sign(np.linalg.det(q)))[..., None, None]


def triples(top=4):
    return [
        (a, b, c)
        for a in range(top + 1)
        for b in range(top + 1)
        for c in range(abs(a - b), min(a + b, top) + 1)
    ]


def test_degree_one_is_the_vector_and_degree_two_has_its_textbook_form():
    r = RNG.normal(size=(5, 3))
    x, y, z = r.T
    np.testing.assert_allclose(harmonics(1, r), r[:, [1, 2, 0]], atol=1e-15)
    two = np.sqrt(3) * np.stack(
        [x * y, y * z, (2 * z * z - x * x - y * y) / np.sqrt(12), x * z, (x * x - y * y) / 2], -1
    )
    np.testing.assert_allclose(harmonics(2, r), two, atol=1e-14)


@pytest.mark.parametrize("l", DEGREES)
def test_harmonics_are_homogeneous_orthogonal_and_normalised(l):
    r = RNG.normal(size=(7, 3))
    values = harmonics(l, r)
    np.testing.assert_allclose(np.sum(values**2, -1), np.sum(r**2, -1) ** l, rtol=1e-13)
    np.testing.assert_allclose(harmonics(l, -2 * r), (-2) ** l * values, rtol=1e-12)
    x, w = np.polynomial.legendre.leggauss(8)
    angle = 2 * np.pi * np.arange(16) / 16
    ring = np.sqrt(1 - x * x)[:, None]
    grid = np.stack(
        np.broadcast_arrays(ring * np.cos(angle), ring * np.sin(angle), x[:, None]), axis=-1
    )
    weight = np.repeat(w / 32, 16)
    flat = harmonics(l, grid.reshape(-1, 3))
    np.testing.assert_allclose(
        flat.T @ (weight[:, None] * flat), np.eye(2 * l + 1) / (2 * l + 1), atol=1e-14
    )


@pytest.mark.parametrize("l", DEGREES)
@pytest.mark.parametrize("sign", [1, -1])
def test_wigner_matrices_rotate_harmonics_and_represent_the_group(l, sign):
    a, b, r = orthogonal(sign), orthogonal(), RNG.normal(size=(4, 3))
    D = wigner_d(l, jnp.asarray(a))
    np.testing.assert_allclose(harmonics(l, r @ a.T), harmonics(l, r) @ D.T, atol=1e-12)
    np.testing.assert_allclose(D @ D.T, np.eye(2 * l + 1), atol=1e-12)
    np.testing.assert_allclose(
        wigner_d(l, jnp.asarray(a @ b)), D @ wigner_d(l, jnp.asarray(b)), atol=1e-12
    )
    np.testing.assert_allclose(wigner_d(l, jnp.asarray(-a)), (-1) ** l * np.asarray(D), atol=1e-12)


@pytest.mark.parametrize(("l1", "l2", "l"), triples())
def test_coupling_is_orthonormal_and_equivariant(l1, l2, l):
    C = clebsch_gordan(l1, l2, l)
    np.testing.assert_allclose(np.einsum("abm,abn->mn", C, C), np.eye(2 * l + 1), atol=1e-13)
    R = jnp.asarray(orthogonal())
    D1, D2, D = (np.asarray(wigner_d(k, R)) for k in (l1, l2, l))
    np.testing.assert_allclose(
        np.einsum("abm,ac,bd->cdm", C, D1, D2), np.einsum("cdn,mn->cdm", C, D), atol=1e-12
    )
    swapped = (-1) ** (l1 + l2 + l) * np.swapaxes(clebsch_gordan(l2, l1, l), 0, 1)
    np.testing.assert_allclose(C, swapped, atol=1e-13)


@pytest.mark.parametrize(("l1", "l2"), [(0, 2), (1, 1), (2, 1), (2, 2), (3, 2)])
def test_all_totals_together_are_an_orthogonal_matrix(l1, l2):
    whole = np.concatenate(
        [clebsch_gordan(l1, l2, l) for l in range(abs(l1 - l2), l1 + l2 + 1)], axis=-1
    ).reshape((2 * l1 + 1) * (2 * l2 + 1), -1)
    np.testing.assert_allclose(whole @ whole.T, np.eye(len(whole)), atol=1e-13)


def test_impossible_couplings_are_zero_and_scalars_are_the_identity():
    assert not clebsch_gordan(1, 1, 3).any()
    np.testing.assert_allclose(clebsch_gordan(0, 3, 3)[0], np.eye(7), atol=1e-15)
    np.testing.assert_allclose(abs(clebsch_gordan(2, 2, 0)[..., 0]), np.eye(5) / np.sqrt(5))


def test_degree_one_couples_to_the_cross_product():
    a, b = RNG.normal(size=(2, 3))
    order = [1, 2, 0]
    product = np.einsum("abm,a,b->m", clebsch_gordan(1, 1, 1), a[order], b[order])
    cross = np.cross(a, b)[order] / np.sqrt(2)
    assert np.allclose(product, cross) or np.allclose(product, -cross)


def test_bond_frames_are_proper_rotations_that_take_the_bond_to_z():
    directions = np.concatenate([np.eye(3), -np.eye(3), RNG.normal(size=(9, 3))])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    frames = np.asarray(bond_frame(jnp.asarray(directions)))
    np.testing.assert_allclose(
        frames @ np.swapaxes(frames, 1, 2), np.eye(3)[None] + 0 * frames, atol=1e-14
    )
    np.testing.assert_allclose(np.linalg.det(frames), 1, atol=1e-14)
    np.testing.assert_allclose(
        np.einsum("eij,ej->ei", frames, directions), np.tile([0, 0, 1.0], (15, 1)), atol=1e-14
    )


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_bond_order_makes_every_doublet_turn_alike(degree):
    irreps = Irreps.up_to(degree)
    order = irreps.bond_order()
    np.testing.assert_array_equal(order.matrix @ order.matrix.T, np.eye(irreps.size))
    phi = 0.37
    turn = jnp.array([[np.cos(phi), -np.sin(phi), 0], [np.sin(phi), np.cos(phi), 0], [0, 0, 1.0]])
    mirror = jnp.diag(jnp.array([1.0, -1.0, 1.0]))
    D, M = (order.matrix @ np.asarray(irreps.matrix(Q)) @ order.matrix.T for Q in (turn, mirror))
    start = 0
    for number, (members, rows) in enumerate(order.groups):
        n = len(members)
        place = slice(start, start + rows * n)
        m = number - sum(1 for _, r in order.groups if r == 1) + 1 if rows == 2 else 0
        if rows == 1:
            expected, sign = np.eye(n), [-1.0 if irreps.members[members[0]][1] else 1.0] * n
        else:
            small = np.array(
                [[np.cos(m * phi), -np.sin(m * phi)], [np.sin(m * phi), np.cos(m * phi)]]
            )
            expected, sign = np.kron(small, np.eye(n)), [1.0] * n + [-1.0] * n
        np.testing.assert_allclose(D[place, place], expected, atol=1e-12)
        np.testing.assert_allclose(M[place, place], np.diag(sign), atol=1e-12)
        D[place, place], M[place, place] = 0, 0
        start += rows * n
    assert start == irreps.size and abs(D).max() < 1e-12 and abs(M).max() < 1e-12


@pytest.mark.parametrize("sign", [1, -1])
def test_products_of_features_are_equivariant_under_rotations_and_reflections(sign):
    small, large = Irreps.up_to(2), Irreps.up_to(4)
    table = product_table(small, small, large)
    x, y = RNG.normal(size=(2, small.size))
    Q = jnp.asarray(orthogonal(sign))
    D, big = np.asarray(small.matrix(Q)), np.asarray(large.matrix(Q))
    np.testing.assert_allclose(
        np.einsum("abc,a,b->c", table, D @ x, D @ y),
        big @ np.einsum("abc,a,b->c", table, x, y),
        atol=1e-12,
    )


SVP = {"H": (0, 0, 1), "O": (0, 0, 0, 1, 1, 2)}


@pytest.mark.parametrize("shells", [SVP, {"H": (0,)}, {"H": (0, 0, 1), "Li": (0, 0, 1, 1)}])
def test_blocks_and_coefficients_are_one_orthogonal_change_of_basis(shells):
    basis = OrbitalBasis.of(shells)
    T = basis.coupling().reshape(-1, basis.width**2)
    assert len(T) == basis.width**2
    np.testing.assert_allclose(T @ T.T, np.eye(len(T)), atol=1e-13)


def test_the_number_of_paths_of_a_split_valence_basis():
    paths = OrbitalBasis.of(SVP).paths()
    assert sum(paths.values()) == 56 and paths[0, 0] == 9 + 4 + 1 and paths[2, 1] == 4
    assert OrbitalBasis.of(SVP).irreps.members == Irreps.up_to(4).members


@pytest.mark.parametrize("sign", [1, -1])
def test_rotated_molecules_have_rotated_pyscf_overlaps_and_coefficients(sign):
    """PySCF's order of orbitals, and the parity of every path."""
    gto = pytest.importorskip("pyscf.gto")
    basis, symbols = OrbitalBasis.of(SVP), ("O", "H", "H")
    r = RNG.normal(size=(3, 3)) * 1.5
    Q = orthogonal(sign)
    atoms, places = basis.places(symbols)
    blocks = []
    for geometry in (r, r @ Q.T):
        atom = list(zip(symbols, geometry.tolist(), strict=True))
        S = gto.M(atom=atom, unit="B", basis="def2-svp", verbose=0).intor("int1e_ovlp")
        padded = np.zeros((3, basis.width, 3, basis.width))
        padded[atoms[:, None], places[:, None], atoms, places] = S
        blocks.append(np.einsum("kuv,aubv->abk", basis.coupling(), padded))
    D = np.asarray(basis.irreps.matrix(jnp.asarray(Q)))
    slices, start = basis.irreps.slices(), 0
    for irrep, count in basis.paths().items():
        end = start + count * (2 * irrep[0] + 1)
        plain, turned = (b[..., start:end].reshape(3, 3, count, -1) for b in blocks)
        own = D[slices[irrep], slices[irrep]]
        np.testing.assert_allclose(turned, plain @ own.T, atol=1e-13)
        start = end


def test_pyscf_order_of_p_is_a_permutation_and_of_others_none():
    np.testing.assert_array_equal(from_pyscf(1)[to_pyscf(1)], [0, 1, 2])
    assert np.array(["x", "y", "z"])[from_pyscf(1)].tolist() == ["y", "z", "x"]
    np.testing.assert_array_equal(from_pyscf(3), range(7))


@pytest.mark.parametrize("l", DEGREES)
def test_harmonics_and_rotations_are_those_of_e3nn_with_its_polar_axis(l):
    """e3nn's y is the polar axis: its (x, y, z) are our (y, z, x)."""
    e3nn = pytest.importorskip("e3nn_jax")
    r = RNG.normal(size=(6, 3))
    theirs = e3nn.spherical_harmonics(
        f"{l}{'eo'[l % 2]}", jnp.asarray(r[:, [1, 2, 0]]), False, normalization="norm"
    )
    np.testing.assert_allclose(harmonics(l, r), theirs.array, atol=1e-6)
    R = orthogonal()
    permuted = R[np.ix_([1, 2, 0], [1, 2, 0])]
    irrep = e3nn.Irrep(l, 1)
    np.testing.assert_allclose(
        wigner_d(l, jnp.asarray(R)), irrep.D_from_matrix(jnp.asarray(permuted)), atol=1e-5
    )


@pytest.mark.parametrize(("l1", "l2", "l"), triples(3))
def test_coupling_is_that_of_e3nn_up_to_sign(l1, l2, l):
    e3nn = pytest.importorskip("e3nn_jax")
    theirs = np.asarray(e3nn.clebsch_gordan(l1, l2, l)) * np.sqrt(2 * l + 1)
    ours = clebsch_gordan(l1, l2, l)
    sign = np.sign(np.sum(ours * theirs))
    np.testing.assert_allclose(ours, sign * theirs, atol=1e-6)
