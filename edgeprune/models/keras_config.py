"""What a Keras network is made of, read from its configuration before any of it is made.

A configuration can name functions and classes of any installed package, and Keras looks them up
when it makes the layers. So every name is checked first: only Keras' own layers of the list below
pass, and nothing that holds code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgeprune.errors import UnsupportedError

__all__ = ["SUPPORTED_LAYERS", "check_config"]

#: Keras layers that are trained, pruned, converted and compiled here.
SUPPORTED_LAYERS = (
    "Activation",
    "Add",
    "Average",
    "AveragePooling2D",
    "BatchNormalization",
    "Concatenate",
    "Conv2D",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePooling2D",
    "InputLayer",
    "LeakyReLU",
    "MaxPooling2D",
    "Multiply",
    "Permute",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
    "SpatialDropout2D",
    "Subtract",
    "ZeroPadding2D",
)

_NETWORKS = ("Functional", "Sequential")

#: How Keras writes the tensors that a layer is called with.
_TENSOR = "__keras_tensor__"

#: Packages whose objects may stand in a layer's options.
_HELPERS = ("keras.initializers", "keras.regularizers", "keras.constraints")


def check_config(config: Mapping[str, Any], *, where: str) -> None:
    """Refuse a network with anything that is not supported.

    Args:
        config: as Keras serializes a model.
        where: the file or the entry point that it comes from, for errors.

    Raises:
        UnsupportedError: naming the layer and its class.
    """
    if config.get("class_name") not in _NETWORKS or not _is_kerass(config):
        raise UnsupportedError(
            f"holds a model of class {_class_of(config)}",
            where=where,
            hint="bring a functional model: keras.Model(inputs, outputs); a subclass of"
            " keras.Model keeps its network in code",
        )
    for layer in config["config"]["layers"]:
        _check_layer(layer, where=f"{where}: layer {_name_of(layer)}")


def _check_layer(layer: Mapping[str, Any], *, where: str) -> None:
    kind = layer.get("class_name")
    if kind == "Lambda":
        raise UnsupportedError(
            "is a Lambda, which holds code; it is not run", where=where, hint=_supported()
        )
    if kind in _NETWORKS:
        raise UnsupportedError(
            "is a network of its own",
            where=where,
            hint="build its layers into the outer network, one by one",
        )
    if kind not in SUPPORTED_LAYERS or layer.get("module") != "keras.layers":
        raise UnsupportedError(
            f"is of class {_class_of(layer)}, which is not supported",
            where=where,
            hint=_supported(),
        )
    if len(layer.get("inbound_nodes", ())) > 1:
        raise UnsupportedError(
            "is used more than once",
            where=where,
            hint="give each place in the network a layer of its own",
        )
    for inner in _objects_in(layer["config"]):
        _check_helper(inner, where)
    for inner in _objects_in(layer.get("inbound_nodes", ())):
        if inner["class_name"] != _TENSOR:
            raise UnsupportedError(f"is called with a {_class_of(inner)}", where=where)
    if isinstance(dtype := layer["config"].get("dtype"), str):
        _check_dtype(dtype, where)
    if layer["config"].get("data_format") == "channels_first":
        raise UnsupportedError(
            "has its channels first",
            where=where,
            hint="build the network with data_format = 'channels_last'",
        )


def _check_helper(inner: Mapping[str, Any], where: str) -> None:
    kind, module = inner["class_name"], inner.get("module")
    if kind == "DTypePolicy" and module == "keras":
        _check_dtype(str(inner.get("config", {}).get("name")), where)
    elif module not in _HELPERS or not _is_kerass(inner):
        raise UnsupportedError(
            f"holds an object of class {_class_of(inner)}; only Keras' own are supported",
            where=where,
            hint="name an activation or an initializer of Keras",
        )


def _check_dtype(name: str, where: str) -> None:
    if name != "float32":
        raise UnsupportedError(
            f"computes in {name}",
            where=where,
            hint="build the network in float32; it is quantized to int8 later",
        )


def _objects_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every serialized object below a value."""
    if isinstance(value, Mapping):
        if "class_name" in value:
            yield value
        for inner in value.values():
            yield from _objects_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _objects_in(inner)


def _is_kerass(config: Mapping[str, Any]) -> bool:
    """Whether an object is of a class of Keras, as its module and its registered name say."""
    module = str(config.get("module"))
    registered = config.get("registered_name")
    own = module == "keras" or module.startswith("keras.")
    return own and registered in (None, config["class_name"])


def _class_of(config: Mapping[str, Any]) -> str:
    """``Conv1D``, or with its module where that is not Keras' layers."""
    kind, module = str(config.get("class_name")), config.get("module")
    return kind if module in (None, "keras.layers") else f"{module}.{kind}"


def _name_of(layer: Mapping[str, Any]) -> str:
    return str(layer.get("config", {}).get("name", layer.get("name", "without a name")))


def _supported() -> str:
    return "supported layers are " + ", ".join(SUPPORTED_LAYERS)
