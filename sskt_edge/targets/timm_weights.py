"""Weights that timm publishes: find them by their tag, and fetch them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from safetensors import SafetensorError
from torch import Tensor, nn

from sskt_edge.common.errors import CheckpointError, DownloadError
from sskt_edge.common.text import first_line
from sskt_edge.targets.pretrained import Normalisation, refuse_unknown
from sskt_edge.targets.weights import no_pickles

# The names that timm looks for in a repository of the hub.
_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Packaged:
    """Weights that a Python package brings.

    Attributes:
        read: reads the state dict, with timm's names and 1000 classes.
        normalisation: what the input was normalised with.
        size: the side of the images that they were trained on.
    """

    read: Callable[[], dict[str, Tensor]]
    normalisation: Normalisation
    size: int


@dataclass(frozen=True)
class TimmWeights:
    """The weights of a network of timm.

    Attributes:
        network: timm's name of it, without a tag.
        packaged: name → weights of a Python package; the first of them is the default.
    """

    network: str
    packaged: Mapping[str, Packaged] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """The packaged weights, then timm's tags; timm's own default is the first of these."""
        import timm  # takes a second, and only timm's networks need it

        default = timm.get_pretrained_cfg(self.network)
        tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{self.network}.*")]
        first = [default.tag] if default is not None and default.tag in tags else []
        return tuple(dict.fromkeys([*self.packaged, *first, *tags]))

    def normalisation(self, name: str) -> Normalisation:
        """The means and standard deviations of the package, or those that timm lists for the tag."""
        import timm

        if name in self.packaged:
            return self.packaged[name].normalisation
        own = timm.get_pretrained_cfg(f"{self.network}.{name}")
        assert own is not None, "timm lists every tag of `names`"
        return Normalisation(own.mean, own.std)

    def size(self, name: str) -> int:
        """The side of the package's images, or the one that timm lists for the tag."""
        import timm

        if name in self.packaged:
            return self.packaged[name].size
        own = timm.get_pretrained_cfg(f"{self.network}.{name}")
        assert own is not None, "timm lists every tag of `names`"
        return int(own.input_size[-1])

    def is_local(self, name: str) -> bool:
        """Whether the hub's cache has a file of the tag. A package never needs the network: it is installed or not."""
        import timm
        from huggingface_hub import try_to_load_from_cache  # timm depends on it

        if name in self.packaged:
            return True
        own = timm.get_pretrained_cfg(f"{self.network}.{name}")
        assert own is not None, "timm lists every tag of `names`"
        found = [try_to_load_from_cache(own.hf_hub_id, file) for file in _FILES] if own.hf_hub_id else []
        return any(isinstance(path, str) for path in found)

    def read(self, name: str) -> dict[str, Tensor]:
        """The state dict with timm's names and 1000 classes; a tag is fetched from the local cache or the network.

        Raises:
            CheckpointError: the file is broken, or is not a plain weights file.
            DownloadError: the weights could not be fetched.
            MissingExtraError: the package is not installed.
            NetworkError: no weights have that name.
        """
        refuse_unknown("timm", self.network, name, self.names())
        if name in self.packaged:
            return self.packaged[name].read()
        with no_pickles():
            return fetch_timm(f"{self.network}.{name}").state_dict()


def fetch_timm(name: str) -> nn.Module:
    """Timm's network `name` with published weights, from the local cache or the network.

    Raises:
        CheckpointError: the cached file is not a plain weights file.
        DownloadError: they are not cached and could not be fetched.
    """
    import timm

    try:
        network: nn.Module = timm.create_model(name, pretrained=True)
    except (pickle.UnpicklingError, SafetensorError, EOFError) as error:
        raise CheckpointError(
            f"The cached file of timm's '{name}' was not opened: it is broken, or not a plain weights file. "
            f"Remove it from the cache."
        ) from error
    except Exception as error:  # the hub's client and its HTTP library share no base class
        raise DownloadError(
            f"timm's weights of '{name}' are not on this machine and could not be fetched: {first_line(error)} "
            f"Check the connection, or fetch the weights elsewhere and name them as checkpoint = FILE in the recipe."
        ) from error
    return network
