import hashlib

from facecctv.image import decode


def test_every_scene_of_the_list_is_a_picture_of_its_size_with_its_faces_inside(quick, app_of, get):
    app = app_of(quick)
    scenes = get(app, "/v1/demo").json()
    assert [scene["name"] for scene in scenes] == ["recorder", "hall", "night", "noisy"]
    assert [len(scene["faces"]) for scene in scenes] == [9, 5, 5, 5]
    for scene in scenes:
        picture = decode(get(app, f"/v1/demo/{scene['name']}").content).image
        assert picture.shape == (scene["height"], scene["width"], 3)
        for box in scene["faces"]:
            assert 0 <= box["x_min"] < box["x_max"] <= scene["width"]
            assert 0 <= box["y_min"] < box["y_max"] <= scene["height"]


def test_a_scene_is_the_same_bytes_from_each_server(quick, app_of, get):
    digests = {
        hashlib.sha256(get(app_of(quick), "/v1/demo/night").content).digest() for _ in range(2)
    }
    assert len(digests) == 1


def test_an_unknown_scene_is_a_problem_404(quick, app_of, get):
    reply = get(app_of(quick), "/v1/demo/secrets")
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
