"""References in audiocraft's configurations: as OmegaConf resolves them, and refused where they lead nowhere."""

import pytest

from models.errors import WeightsError
from models.weights.references import resolve_references

CONFIG = {
    "sample_rate": 32000,
    "encodec": {"sample_rate": "${sample_rate}", "channels": "${.inner.channels}", "inner": {"channels": 1}},
    "again": "${encodec.sample_rate}",
    "name": "rate-${sample_rate}-x",
    "sizes": [1, "${..sample_rate}", "${sizes.0}"],
    "whole": "${encodec.inner}",
    "none": None,
    "nothing": "${none}",
}


def test_references_are_what_omegaconf_makes_of_them():
    omegaconf = pytest.importorskip("omegaconf", reason="omegaconf comes with requirements-audiocraft.txt")
    config = {key: value for key, value in CONFIG.items() if key != "sizes"} | {"sizes": [1, "${sample_rate}"]}
    wanted = omegaconf.OmegaConf.to_container(omegaconf.OmegaConf.create(config), resolve=True)
    assert resolve_references(config, "file") == wanted


def test_every_kind_of_reference_is_resolved_and_the_original_stays():
    found = resolve_references(CONFIG, "file")
    assert found["encodec"] == {"sample_rate": 32000, "channels": 1, "inner": {"channels": 1}}
    assert (found["again"], found["name"]) == (32000, "rate-32000-x")
    assert found["whole"] == {"channels": 1}
    assert found["nothing"] is None
    assert found["sizes"] == [1, 32000, 1]
    assert CONFIG["again"] == "${encodec.sample_rate}"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"a": {"b": "${c.d}"}}, r"file: the configuration's a\.b refers to c\.d, which is not in it"),
        ({"a": "${b}", "b": "${a}"}, "refers to itself"),
        ({"a": "${b}", "b": {"c": "${a}"}}, "refers to what it is in"),
        ({"a": "${oc.env:HOME}"}, "refers to oc.env:HOME"),
        ({"a": ["${a.5}"]}, r"a\.0 refers to a\.5"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(config, named):
    with pytest.raises(WeightsError, match=named):
        resolve_references(config, "file")
