import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.errors import InputError, LabelError, SettingError
from facecctv.learn.data.check import check, label_faults, write_report
from facecctv.learn.data.dataset import Dataset, Fault, Labelled, Pictures
from facecctv.learn.data.enough import Curve, _curve, estimate, features
from facecctv.learn.data.explore import correlations, explore
from facecctv.learn.data.explore import write_report as write_overview
from facecctv.learn.data.manifest import Entry, Manifest, read_manifest
from facecctv.learn.data.report import Report, bars, heat_map, histogram
from facecctv.learn.data.similar import clusters, fingerprint
from facecctv.learn.data.split import deal, make_split, parse_ratios


def scene(seed, size=(80, 60)):
    """A picture like no other: soft blobs."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return PIL.Image.fromarray(small).resize(size, PIL.Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path):
    """Six pictures: 1 is 0 as JPEG of low quality, 2 a byte-for-byte copy of 0."""
    scene(0).save(tmp_path / "0.png")
    scene(0).save(tmp_path / "1.jpg", quality=30)
    (tmp_path / "2.png").write_bytes((tmp_path / "0.png").read_bytes())
    for i in (3, 4, 5):
        scene(i).save(tmp_path / f"{i}.png")
    return tmp_path


def dataset(folder, **fields):
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".png", ".jpg"))
    each = [{k: v[i] for k, v in fields.items()} for i in range(len(paths))]
    items = (Labelled(p, 80, 60, **f) for p, f in zip(paths, each, strict=True))
    return Dataset(folder, "made", tuple(items))


BOX_FAULTS = {
    "fine": ([[10, 10, 40, 40]], ("face",), []),
    "touching the edge": ([[0, 0, 81, 61]], ("face",), []),
    "outside": ([[90, 10, 120, 40]], ("face",), ["box outside"]),
    "sticking out": ([[-9, 10, 40, 40]], ("face",), ["sticks out"]),
    "tiny": ([[10, 10, 14, 40]], ("face",), ["tiny box"]),
    "unknown": ([[10, 10, 40, 40]], ("cat",), ["unknown label"]),
    "two labels": ([[10, 10, 40, 40], [11, 10, 40, 40]], ("face", "face"),
                   ["two labels for one face"]),
}  # fmt: skip


@pytest.mark.parametrize(("boxes", "labels", "kinds"), BOX_FAULTS.values(), ids=BOX_FAULTS)
def test_what_is_wrong_with_boxes(tmp_path, boxes, labels, kinds):
    item = Labelled(tmp_path / "a.jpg", 80, 60, boxes=boxes, labels=labels)
    assert [fault.kind for fault in label_faults(item, "a.jpg")] == kinds


def test_a_misspelt_label_gets_a_hint(tmp_path):
    item = Labelled(tmp_path / "a.jpg", 80, 60, boxes=[[1, 1, 30, 30]], labels=("fase",))
    assert str(label_faults(item, "a.jpg")[0]).endswith("'fase': did you mean 'face'?")
    assert label_faults(item, "a.jpg", None) == []


def test_look_alikes_are_found_and_strangers_not(folder):
    prints = [fingerprint(p.name, p.read_bytes()) for p in sorted(folder.iterdir())]
    groups = clusters(prints)
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups)) == 4
    assert clusters([]).shape == (0,)


def test_flat_pictures_are_alike_only_in_the_same_grey(tmp_path):
    prints = []
    for i, grey in enumerate((20, 21, 200)):
        PIL.Image.new("RGB", (40, 40), (grey,) * 3).save(tmp_path / f"{i}.png")
        prints.append(fingerprint(str(i), (tmp_path / f"{i}.png").read_bytes()))
    groups = clusters(prints)
    assert groups[0] == groups[1] != groups[2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_compared_as_exif_turns_it(tmp_path, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    scene(1, (320, 240)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = PIL.Image.fromarray(Pictures().image(tmp_path / "a.jpg"))
    upright.save(tmp_path / "b.png")
    a, b = (fingerprint(n, (tmp_path / n).read_bytes()) for n in ("a.jpg", "b.png"))
    assert a.size == b.size
    assert len(set(clusters([a, b]))) == 1


def test_check_finds_repeats_leaks_balance_and_damage(folder):
    (folder / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    made = dataset(folder, boxes=[[[1, 1, 30, 30]]] * 5 + [np.zeros((0, 4))])
    files = {f"{i}.{'jpg' if i == 1 else 'png'}": Entry("train", "") for i in range(5)}
    files["1.jpg"] = Entry("val", "")
    findings = check(made, Manifest(files))
    assert findings.kinds == {"unreadable picture": 1, "same file twice": 1, "leak": 1}
    assert findings.errors == 2
    assert findings.repeats == (("0.png", "2.png"),)
    assert findings.look_alikes == (("0.png", "1.jpg", "2.png"),)
    assert findings.balance == {"face": 5}
    assert "not estimated" in findings.curve


def test_one_person_only_and_a_person_in_two_splits(folder):
    same = check(dataset(folder, identity=["anna"] * 6, located=[False] * 6))
    assert "one identity" in same.kinds
    splits = [{"split": s} for s in ("train", "train", "train", "val", "train", "val")]
    who = ["a", "a", "a", "b", "b", "c"]
    leak = check(dataset(folder, identity=who, attributes=splits, located=[False] * 6))
    (found,) = [fault for fault in leak.faults if fault.kind == "leak"]
    assert "pictures of one person" in found.detail


def test_a_report_is_one_file_that_runs_and_fetches_nothing(folder):
    hostile = '<script>alert("x")</script>'
    made = dataset(folder, boxes=[[[1, 1, 30, 30]]] * 6, labels=[(hostile,)] * 6)
    made = Dataset(made.root, "made", made.items, (Fault(hostile, "broken label", hostile),))
    write_report(check(made), folder / "out" / "check.html")
    page = (folder / "out" / "check.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/jpeg;base64,") >= 6


def learnable(tmp_path, count):
    """Faces are crosses, backgrounds blobs: even a small learner tells them apart."""
    items = []
    for i in range(count):
        pixels = np.asarray(scene(i, (160, 120))).copy()
        x, y = 10 + i % 60, 10 + i % 40
        pixels[y : y + 40, x + 16 : x + 24] = 255
        pixels[y + 16 : y + 24, x : x + 40] = 0
        path = tmp_path / f"{i}.png"
        PIL.Image.fromarray(pixels).save(path, compress_level=1)
        items.append(Labelled(path, 160, 120, boxes=[[x, y, x + 40, y + 40]]))
    return Dataset(tmp_path, "made", tuple(items))


def test_the_learning_curve_learns_what_can_be_learnt(tmp_path):
    made = learnable(tmp_path, 40)
    found = estimate(made, np.arange(40))
    assert isinstance(found, Curve)
    assert found.now == 40
    assert found.sizes == tuple(sorted(found.sizes))
    assert found.errors[-1] < 0.1
    assert found.errors[-1] <= found.errors[0]
    low, middle, high = found.at(2)
    assert 0 <= low <= middle <= high < 0.5


def test_the_law_is_recovered_where_it_holds():
    sizes = (10, 20, 40, 80, 160)
    errors = [[0.05 + 1.2 * n**-0.5] * 4 for n in sizes]
    found = _curve("made", "pictures", sizes, errors, 200)
    assert found.at(1)[1] == pytest.approx(0.05 + 1.2 * 200**-0.5, rel=0.05)
    assert found.at(4)[1] == pytest.approx(0.05 + 1.2 * 800**-0.5, rel=0.1)
    assert "more" in found.verdict
    level = _curve("made", "pictures", sizes, [[0.1] * 4] * 5, 200)
    assert "Level" in level.verdict
    weak = _curve("made", "pictures", sizes, [[0.4] * 4] * 5, 200)
    assert "too weak" in weak.verdict


def test_features_have_unit_length_and_see_shapes():
    assert np.linalg.norm(features(np.asarray(scene(1)))) == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(features(np.full((9, 9, 3), 80, np.uint8))) == 0


RATIOS = {"60/20/20": (0.6, 0.2, 0.2), "80/20": (0.8, 0.2), "3/1": (0.75, 0.25)}


@pytest.mark.parametrize(("text", "shares"), RATIOS.items())
def test_ratios(text, shares):
    assert tuple(parse_ratios(text).values()) == pytest.approx(shares)


@pytest.mark.parametrize("text", ["", "100", "60/x", "60/0", "1/1/1/1", "-1/2", "nan/1", "inf/1"])
def test_impossible_ratios_are_refused(text):
    with pytest.raises(SettingError):
        parse_ratios(text)


@given(st.lists(st.integers(0, 12), min_size=3, max_size=120), st.integers(0, 5))
def test_groups_stay_together_and_shares_come_near(numbers, seed):
    groups = [str(n) for n in numbers]
    ratios = {"train": 0.6, "val": 0.2, "test": 0.2}
    places = deal(groups, [""] * len(groups), ratios, seed)
    of = {}
    for group, place in zip(groups, places, strict=True):
        assert of.setdefault(group, place) == place
    if len(of) >= 3:
        assert set(places) == set(ratios)
    largest = max(groups.count(g) for g in of)
    for name, share in ratios.items():
        assert abs(places.count(name) - share * len(places)) <= largest + 1
    assert places == deal(groups, [""] * len(groups), ratios, seed)


def test_strata_keep_their_shares():
    strata = ["face"] * 80 + ["no face"] * 20
    places = deal([str(i) for i in range(100)], strata, {"train": 0.6, "val": 0.4}, 0)
    assert [places[:80].count("train"), places[80:].count("train")] == [48, 12]


def test_a_split_keeps_copies_people_and_look_alikes_together(folder):
    who = ["a", "a", "b", "b", "c", "c"]
    made = dataset(folder, identity=who, located=[False] * 6)
    by_picture = make_split(made).files
    assert by_picture["0.png"].split == by_picture["2.png"].split
    by_person = make_split(made, "identity").files
    assert by_person["0.png"].split == by_person["1.jpg"].split
    assert len({entry.split for entry in by_person.values()}) == 3
    by_cluster = make_split(made, "cluster").files
    assert len({by_cluster[n].split for n in ("0.png", "1.jpg", "2.png")}) == 1


@pytest.mark.parametrize(
    ("by", "stratify", "message"),
    [("identity", None, "do not say who"), ("given", None, "names no split"),
     ("picture", "age", "no attribute 'age'")],
)  # fmt: skip
def test_splits_that_cannot_be_are_refused(folder, by, stratify, message):
    with pytest.raises(InputError, match=message):
        make_split(dataset(folder), by, stratify=stratify)


def test_too_few_people_and_an_empty_set_are_refused(folder):
    with pytest.raises(InputError, match="1 people for 3 splits"):
        make_split(dataset(folder, identity=["a"] * 6), "identity")
    with pytest.raises(InputError, match="nothing to split"):
        make_split(Dataset(folder, "made", ()))


def test_manifests_read_back_select_and_notice_changes(folder):
    made = dataset(folder)
    manifest = make_split(made, seed=3)
    manifest.write(folder / "split.json")
    again = read_manifest(folder / "split.json")
    assert again == manifest
    train = again.select(made, "train")
    assert {made.name(i) for i in train} == {
        n for n, e in manifest.files.items() if e.split == "train"
    }
    with pytest.raises(InputError, match="'trian'"):
        again.select(made, "trian")
    assert again.changed(made, Pictures()) == []
    (folder / "3.png").write_bytes((folder / "4.png").read_bytes())
    assert again.changed(made, Pictures()) == ["3.png"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 2}', '{"version": 1, "files": 3}'])
def test_broken_manifests_are_refused(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(LabelError):
        read_manifest(tmp_path / "s.json")


def test_correlations_by_hand():
    rows = [{"a": 1.0, "b": -1.0, "c": "x", "d": 5.0, "e": "p"}, {"a": 2.0, "b": -2.0, "c": "y",
            "d": 5.0, "e": "q"}, {"a": 3.0, "b": -3.0, "c": "y", "d": 5.0, "e": "r"}]  # fmt: skip
    names, matrix = correlations(rows)
    assert names == ("a", "b", "c: y", "d")
    np.testing.assert_allclose(matrix[0, :3], [1, -1, 3**0.5 / 2], atol=1e-6)
    assert np.isnan(matrix[3]).all()
    assert correlations([])[0] == ()


def test_an_overview_counts_and_draws(folder):
    ages = [{"age": float(i * 9), "light": "dim" if i % 2 else "lit"} for i in range(6)]
    who = ["a", "a", "a", "b", "b", "c"]
    made = dataset(folder, boxes=[[[1, 1, 30, 31]]] * 6, identity=who, attributes=ages)
    overview = explore(made)
    assert overview.per_person == {"a": 3, "b": 2, "c": 1}
    assert overview.box_heights.tolist() == [30] * 6
    assert overview.box_shares.tolist() == [0.5] * 6
    write_overview(overview, folder / "o.html")
    page = (folder / "o.html").read_text()
    for text in ("light: lit", "Most pictures", "From 1 to 3 pictures", "Correlation"):
        assert text in page


@pytest.mark.parametrize(
    "svg", [bars([]), histogram([]), histogram([3.0]), heat_map([], np.eye(0))]
)
def test_plots_of_nothing_are_plots(svg, tmp_path):
    report = Report("t", "s")
    report.plot("empty", svg)
    report.write(tmp_path / "r.html")
    assert svg.startswith("<svg")


def test_histograms_count_everything_once():
    svg = histogram([1, 1, 2, 9], whole=True)
    assert "1: 2</title>" in svg
    assert "9: 1</title>" in svg
