"""The command ``summary``, and the networks that it knows."""

import json

import pytest

import fastconv
from fastconv import init, models
from fastconv.graph import block
from fastconv.layers import Conv2d
from tests.cli_helpers import fastconv as run

# Convolution and linear layers only, as torchvision publishes them, in 1e9.
GMACS = {
    "alexnet": 0.714,
    "densenet121": 2.834,
    "googlenet": 1.498,
    "inception_v3": 5.713,
    "mobilenet_v2": 0.301,
    "mobilenet_v3_large": 0.217,
    "resnet18": 1.814,
    "resnet50": 4.089,
    "resnext50_32x4d": 4.23,
    "shufflenet_v2_x1_0": 0.145,
    "squeezenet1_1": 0.349,
    "vgg16": 15.470,
    "wide_resnet50_2": 11.398,
}
# Of the last maps, as A. Araujo, W. Norris and J. Sim computed them (Distill, 2019).
FIELDS = {"inception_v2": 699, "inception_v3": 1311, "inception_v4": 2071, "inception_resnet_v2": 3039, "vgg16": 212}


def blank(name):
    with init.skipped():
        return models.create(name, rng=0)


@pytest.mark.parametrize("name", sorted(GMACS.keys() & models.MODELS.keys()))
def test_multiply_adds_are_the_published_ones(name):
    totals = fastconv.summary(blank(name), models.input_shape(name)).totals
    assert round(totals.macs / 1e9, 3) == GMACS[name]
    assert totals.parameters == sum(parameter.numel() for parameter in blank(name).parameters())


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_the_published_ones(name):
    fields = fastconv.receptive_field(blank(name), models.input_shape(name)).values()
    assert [f.size for f in fields if f.jump[0] == 32 and f.start[0] is not None][-1] == (FIELDS[name],) * 2


def test_shortcuts_without_parameters():
    """Every second pixel of a shortcut: the field grows as without it."""
    ours, plain = (list(fastconv.receptive_field(blank(n), (3, 32, 32)).values())[-3] for n in ("resnet20", "plain20"))
    assert ours.size == plain.size == (81, 81)


def test_a_table():
    outcome = run("summary", "resnet50", "--depth", 1)
    assert outcome.status == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == "resnet50, input 1 x 3 x 224 x 224"
    assert next(line for line in lines if "layer4" in line).split()[-3:] == ["427", "32", "0.5"]
    assert "25,557,032 parameters (102 MB), 4.09 G multiply-adds" in outcome.out
    assert max(map(len, lines)) < 120


def test_json():
    found = json.loads(run("summary", "lenet5", "--input", "5x1x28x28", "--json").out)
    assert found["network"] == "lenet5"
    assert found["totals"]["macs"] == 5 * 416_520
    assert found["rows"][0]["output_shape"] == [5, 6, 28, 28]
    both = json.loads(run("summary", "lenet5", "resnet20", "--json").out)
    assert [each["network"] for each in both] == ["lenet5", "resnet20"]


def test_what_textbooks_compare():
    found = {each["network"]: each["totals"] for each in json.loads(run("summary", "--compare", "--json").out)}
    direct, narrow = found["192 -> 5x5 32"], found["192 -> 1x1 16 -> 5x5 32"]
    assert direct["macs"] == 120_422_400
    assert narrow["macs"] == 12_443_648
    assert found["192 -> dw5x5 -> 1x1 32"]["macs"] == 28**2 * (192 * 25 + 192 * 32)
    large, small = found["64 -> 5x5 64"], found["64 -> 3x3 64 -> 3x3 64"]
    assert 25 * small["macs"] == 18 * large["macs"]
    assert 25 * small["parameters"] == 18 * large["parameters"]
    text = run("summary", "--compare").out
    assert "12.4 M     10.3 %" in text
    assert "72.0 %" in text


def test_comparisons_of_ones_own():
    outcome = run("summary", "--compare", "8 -> 3x3/2 16", "8 -> 1x1 4 -> 3x3 16", "--size", 10)
    first, second = [line.split() for line in outcome.out.splitlines() if "->" in line]
    assert first[4:] == ["16", "x", "5", "x", "5", "1,152", "100.0", "%", "28.8", "k", "100.0", "%", *first[-3:]]
    assert second[-1] == "3"
    networks = run("summary", "--compare", "resnet18", "resnet50").out
    assert "218.6 %" in networks


def test_blocks():
    layers = block("3 -> 3x3/2 16 -> dw5x3 -> 1x1 8")
    assert [(layer.kernel_size, layer.stride, layer.padding, layer.groups) for layer in layers] == [
        ((3, 3), (2, 2), (1, 1), 1),
        ((5, 3), (1, 1), (2, 1), 16),
        ((1, 1), (1, 1), (0, 0), 1),
    ]
    assert all(isinstance(layer, Conv2d) and layer.bias is None for layer in layers)
    for text in ("3", "3 ->", "x -> 1x1 2", "3 -> 1x1", "3 -> dw3x3 4", "3 -> 3 4", "-> 1x1 3", "0 -> 1x1 3"):
        with pytest.raises(ValueError, match="block: "):
            block(text)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "Missing argument 'NETWORK...'"),
        (("resnet5",), 1, "no network is named 'resnet5', did you mean resnet"),
        (("lenet5", "--input", "28"), 2, "'28' is no shape"),
        (
            ("lenet5", "--input", "3x28x28"),
            1,
            "features.0: conv2d: weight of shape (6, 1, 5, 5) takes 1 input channels",
        ),
        (("lenet5", "--variant", "odd"), 1, "lenet5: variant must be one of"),
        (("3 -> 4",), 1, "'4' is no convolution"),
    ],
)
def test_what_goes_wrong(arguments, status, message):
    outcome = run("summary", *arguments)
    assert outcome.status == status
    assert message in outcome.err


@pytest.mark.parametrize(
    ("name", "variant", "input_shape"), [("lenet5", "1998", [1, 1, 32, 32]), ("alexnet", "textbook", [1, 1, 224, 224])]
)
def test_forms_for_other_images(name, variant, input_shape):
    outcome = run("summary", name, "--variant", variant, "--json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["input_shape"] == input_shape
