# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A category's weights on disk: one .safetensors file that says by itself what it is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open, SafetensorError
from safetensors.torch import save_file
import torch
from torch import nn, Tensor

from .encoder import Encoder, EncoderConfig
from .files import written_whole
from .generator import Generator, GeneratorConfig
from .memory import CodePrior
from .packing import packed, unpacked
from .types import PoseError

FORMAT = '7'
FORMER = ('6', '5', '4', '3')
"""Formats of former versions that are read, too: '3' is not packed, neither it nor '4' tells how
many further rotations there are, for there are none; before '6' no encoder is told field of view or
known codes; none has a palette."""


@dataclass(frozen=True)
class SizePrior:
    """What is known of a category's size before looking: mean box (m), mean and spread of the
    radius (m), the largest distance of the surface from the origin.
    """

    size_m: tuple[float, float, float]
    radius_m: float
    radius_std_m: float


@dataclass(frozen=True)
class ModelCard:
    """What the file says beside its weights; ``training`` and ``figures`` are free-form records.

    symmetry: 'none', or 'free_z' where the object spins freely about z. front_part: name of the
    part that gives the front, or '' where the whole shape does. codes: what is usual for codes that
    its encoder reads off crops, where that is known.
    """

    category: str
    symmetry: str
    front_part: str
    size: SizePrior
    codes: CodePrior | None = None
    training: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    licence: str = 'Apache-2.0'


class CategoryModel(nn.Module):
    """A category's generator and encoder, with the card that describes them."""

    def __init__(self, generator: Generator, encoder: Encoder, card: ModelCard) -> None:
        super().__init__()
        self.generator = generator
        self.encoder = encoder
        self.card = card

    @property
    def mirrors(self) -> bool:
        """Whether it has learned from mirror images: the left and right of others may differ."""
        return bool(self.card.training.get('mirror', False))


def save_model(model: CategoryModel, path: Path, exact: bool = False) -> None:
    """Write weights and card; atomic. exact: see ``write_weights``."""
    write_weights(path, model, {
        'format': FORMAT,
        'card': json.dumps(dataclasses.asdict(model.card)),
        'generator': json.dumps(dataclasses.asdict(model.generator.config)),
        'encoder': json.dumps(dataclasses.asdict(model.encoder.config)),
    }, exact)


def write_weights(path: Path, module: nn.Module, metadata: dict[str, str],
                  exact: bool = False) -> None:
    """Write a module's weights and metadata; atomic.

    exact: in single precision; otherwise in a third of that (``packing``).
    """
    weights = module.state_dict()
    tensors = ({k: v.contiguous() for k, v in weights.items()} if exact else packed(weights))
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        save_file(tensors, str(partial), metadata=metadata)
        partial.chmod(0o644)  # the library writes for the owner alone


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with safe_open(str(path), framework='pt') as file:
        metadata = dict(file.metadata() or {})
        names = file.keys()
        return metadata, {name: file.get_tensor(name) for name in names}


def read_weights(path: Path, expected: tuple[str, ...],
                 command: str = 'train') -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and weights, in float32, of a file whose format must be among ``expected``.

    command: of nabs-pose, which makes such files.

    Raises PoseError, in one sentence, where the file is missing, damaged or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise PoseError(f'There are no weights at {path}: train them with "nabs-pose {command}" '
                        'or give another models folder.')
    try:
        metadata, stored = _read(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise PoseError(f'The weights in {path} are damaged ({error}): fetch the file again or '
                        f'train it with "nabs-pose {command}".') from error
    if metadata.get('format') not in expected:
        raise PoseError(f'The weights in {path} have format {metadata.get("format")!r}, this '
                        f'version reads {expected[0]!r}: use the models of the same release.')
    try:
        tensors = unpacked(stored)
    except PoseError as error:
        raise PoseError(f'The weights in {path} are incomplete ({error}): fetch the file '
                        'again.') from error
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise PoseError(f'The weights in {path} hold values that are not numbers: fetch the file '
                        'again or train it anew.')
    return metadata, tensors


def load_model(path: Path) -> CategoryModel:
    """Read a model file, in float32 and evaluation mode.

    Raises PoseError, in one sentence, where the file is missing, damaged or of another format.
    """
    metadata, tensors = read_weights(path, (FORMAT, *FORMER))
    try:
        card_values = json.loads(metadata['card'])
        card_values['size'] = SizePrior(**_tuples(card_values['size']))
        if card_values.get('codes'):
            card_values['codes'] = CodePrior(**_tuples(card_values['codes']))
        card = ModelCard(**card_values)
        sizes = {'palette': 0, **json.loads(metadata['generator'])}
        generator = Generator(GeneratorConfig(**_tuples(sizes)))
        sizes = {'palette': 0, 'others': 0, 'informed': False, **json.loads(metadata['encoder'])}
        encoder = Encoder(EncoderConfig(**_tuples(sizes)))
        if any(getattr(generator.config, size) != getattr(encoder.config, size)
               for size in ('latent_dim', 'colour_dims', 'palette', 'resolution')):
            raise ValueError('generator and encoder are of other sizes')
        model = CategoryModel(generator, encoder, card)
        model.load_state_dict(tensors)
        if card.codes and {len(card.codes.mean), len(card.codes.std)} != {
                encoder.config.latent_dim}:
            raise ValueError('what is usual for codes has another number of entries than codes')
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise PoseError(f'The weights in {path} do not fit their own description ({reason}): '
                        'fetch the file again.') from error
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()
