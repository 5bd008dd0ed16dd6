# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a run of a category's training holds, and its steps.

Each step takes a few instances with a few views of each, and gives some of them other proportions
than were rendered (stretching.py). A clean encoder (teacher.py) reads the views; the code of an
instance is what a random part of them agrees on, sampled; from that code all its views are drawn at
their true poses (Chen et al., section 3.2, with several target views instead of one, so that the 3D
volume is computed once for them). The shipped encoder sees the same views composed into cluttered
crops, some in other prints than were rendered (painting.py), and learns to read the code, the mask
and the pose; where it is trained alone, also from what the generator, which stays, draws from its
codes. The clean encoder may learn alone, too, or with the generator (``only``), without crops;
where there is none, the shipped encoder's former self tells the codes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .code_length import lengthened, MODEL, PAINTED
from .codes import agreed
from .compose import compose, Crops, facing_first, mirrored, recolour, roughly, Views
from .engine import Engine, full_precision
from .framing import CUT_OFF
from .instances import Shapes, STEEP, TrainingViews
from .loop import descend, follow, learning_rate
from .objective import code_term, kl, proportions, readings, reconstruction, Weights
from .painting import AS_RENDERED, some_repainted
from .state import check_pictures, read_state, save_state, Stateful, take_up
from .stretching import STRETCHED
from .teacher import clean_crops, clean_input, CleanEncoder, FormerEncoder, is_former
from ..core.checkpoint import CategoryModel, load_model, ModelCard, save_model
from ..core.encoder import Encoder, EncoderConfig, Encoding
from ..core.generator import Generator, GeneratorConfig
from ..core.types import PoseError


@dataclass(frozen=True)
class TrainConfig:
    """One training run; written into the weights' metadata."""

    category: str
    data: str
    backgrounds: str | None
    run: str
    out: str
    steps: int = 8000
    instances: int = 8
    views: int = 4
    learning_rate: float = 2e-3
    warmup: int = 200
    ema: float = 0.998
    student_share: float = 0.5
    student_from: int = 500
    mirror: bool = True
    stretch: bool = True
    only: str = ''
    init: str = ''
    seed: int = 1
    device: str = 'cpu'
    threads: int = 0
    validate_every: int = 500
    command: str = ''
    variant: str = 'compact'
    precision: str = '32-true'
    tensorboard: bool = False

    @property
    def reads_crops(self) -> bool:
        """Whether the shipped encoder learns, so that there is a model at the end."""
        return self.only not in ('teacher', 'drawing')


OPTIONAL = ('encoder.others.', 'encoder.from_field.', 'encoder.from_known.', 'encoder.to_palette.',
            'generator.to_palette.')
"""Layers that some models have and others do not."""


def _with_own_layers(part: torch.nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of another run; optional layers left out, or one's own kept, as they must.

    Those of shorter codes are made as long as one's own (``lengthened``).
    """
    own = part.state_dict()
    kept = {k: v for k, v in own.items() if k.startswith(OPTIONAL)}
    taken = {k: v for k, v in state.items() if k in kept or not k.startswith(OPTIONAL)}
    return lengthened({**kept, **taken}, own, palette=len(state.get(PAINTED, ())))


HINTS, HINT_SPREAD = 0.5, 0.3
"""Share of the crops whose code is told beforehand, and the largest standard deviation of its
error; the numbers of a code differ from object to object by 0.3 to 0.8."""


def hints(mean: Tensor, logvar: Tensor, group: int) -> Tensor:
    """Codes (B, D) as tracks may know them beforehand, NaN where nothing is known.

    mean, logvar: (B, D) posteriors of clean views, ``group`` of an instance in a row. A hint is
    what the instance's other views agree on, for with the own one the answer would be told, too.
    """
    if group == 1:
        return torch.full_like(mean, math.nan)
    means, sureness = (x.detach().view(-1, group, x.shape[1]) for x in (mean, torch.exp(-logvar)))
    others = 1.0 - torch.eye(group, device=mean.device)
    told = torch.stack([agreed(means, use[:, None] * sureness) for use in others], 1).flatten(0, 1)
    draw = torch.rand(2, len(mean), 1, device=mean.device)
    told = told + HINT_SPREAD * draw[0] * torch.randn_like(told)
    return torch.where(draw[1] < HINTS, told, math.nan)


class Trainer:
    """Holds the two models (trained and averaged), the optimiser and the data of one run."""

    def __init__(self, config: TrainConfig, data: TrainingViews, card: ModelCard,
                 generator: GeneratorConfig | None = None,
                 encoder: EncoderConfig | None = None, engine: Engine | None = None) -> None:
        data.require_size((generator or GeneratorConfig()).resolution)
        torch.manual_seed(config.seed)
        self.engine = engine or Engine(config.device, config.precision)
        self.config = config
        self.data = data
        self.weights = Weights()
        self.device = torch.device(self.engine.device)
        # From the start, since what a model has learned from decides how it is read.
        card = dataclasses.replace(card, training=dataclasses.asdict(config))
        self.free_about_z = card.symmetry == 'free_z'
        if self.free_about_z:  # the other starts of such bodies are other tilts
            encoder = replace(encoder or EncoderConfig(), others=0)
        self.model = CategoryModel(Generator(generator), Encoder(encoder), card).to(self.device)
        self.average = CategoryModel(Generator(generator), Encoder(encoder), card).to(self.device)
        self.average.load_state_dict(self.model.state_dict())
        self.average.requires_grad_(False)
        sizes = self.model.generator.config
        self.encoder_only = config.only == 'encoder'
        self.teacher: CleanEncoder | FormerEncoder = CleanEncoder(
            sizes.latent_dim, colour_dims=sizes.colour_dims, palette=sizes.palette).to(self.device)
        if config.only in ('encoder', 'teacher'):
            self.model.generator.requires_grad_(False)
        if self.encoder_only:
            # What crops are read for is fixed then: the teacher's codes, drawn by the generator.
            trained = list(self.model.encoder.parameters())
        elif config.only == 'teacher':
            trained = list(self.teacher.parameters())
        elif config.only == 'drawing':
            trained = [*self.model.generator.parameters(), *self.teacher.parameters()]
        else:
            trained = [*self.model.parameters(), *self.teacher.parameters()]
        self.optimizer = torch.optim.Adam(trained, lr=config.learning_rate, betas=(0.9, 0.99))
        self.step = 0
        if self.engine.rank:  # the same models everywhere, other pictures
            torch.manual_seed(config.seed + 7919 * self.engine.rank)

    @property
    def student_share(self) -> float:
        """Share of instances drawn from the code that the shipped encoder reads off one crop.

        So the generator learns what to draw from what can be read, and the encoder learns which
        part of the code matters for the picture; it grows as the encoder learns to read.
        """
        config = self.config
        done = (self.step - config.student_from) / max(1, config.student_from)
        return config.student_share * min(1.0, max(0.0, done))

    def augmented(self, index: Tensor, views: Views) -> tuple[Views, Shapes]:
        """The views, some instances stretched or mirrored and all recoloured, and their shapes.

        index: (I,) the instances; their views (I * V).
        """
        count, group = len(index), len(views.R_view) // len(index)
        views, shapes = self.data.some_stretched(index, views,
                                                 STRETCHED if self.config.stretch else 0.0)
        if self.config.mirror:
            flip = torch.rand(count, device=self.device) < 0.5
            views = mirrored(views, flip.repeat_interleave(group))
            shapes = shapes.mirrored(flip)
        return recolour(views, group), shapes

    def taught(self, views: Views, learning: bool) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, D) of the teacher's codes of clean views."""
        # Geometry is not for 16 bits.
        seen = (clean_crops(views, self.model.encoder.config.resolution)
                if isinstance(self.teacher, FormerEncoder)
                else (clean_input(views, self.free_about_z),))
        with self.engine.autocast(), torch.set_grad_enabled(learning):
            mean, logvar = self.teacher(*seen)
        return mean.float(), logvar.float()

    def reading_terms(self, said: Encoding, crops: Crops, mean: Tensor, logvar: Tensor,
                      group: int, painted: Tensor) -> dict[str, Tensor]:
        """Terms of an encoder alone, whose codes are to be the teacher's (``taught``).

        painted: (B,) crops that show other colours than the teacher has seen, so that only the
        shape's numbers of their codes are known.
        """
        sizes = self.model.generator.config
        counts = torch.ones_like(said.mean)
        coloured = painted.nonzero()[:, 0]
        counts[coloured, :sizes.colour_dims] = 0.0
        counts[coloured, said.mean.shape[1] - 3 * sizes.palette:] = 0.0
        return {**readings(said, crops, self.weights, self.free_about_z),
                'code': code_term(said, self._together(mean, logvar, group), self.weights,
                                  counts)}

    def drawing_terms(self, said: Encoding, views: Views, group: int) -> dict[str, Tensor]:
        """Terms of what the generator, which stays, draws from codes as they were read.

        Of ``AS_RENDERED`` crops of each instance, at their true poses. Numbers of a code differ in
        what they change in the picture; the distance from the teacher's code alone counts them all
        alike.
        """
        rows = torch.arange(len(views.R_view), device=self.device).view(-1, group)[
            :, :AS_RENDERED].flatten()
        seen = views.pick(rows)
        R = facing_first(seen.R_view, 1) if self.free_about_z else seen.R_view
        with self.engine.autocast():
            drawn = full_precision(self.model.generator(said.mean[rows], R, seen.perspective))
        return reconstruction(drawn, seen, self.weights)

    def losses(self, index: Tensor, views: Views) -> dict[str, Tensor]:
        """All weighted terms for instances ``index`` (I,) and their views (I * V)."""
        count, group = len(index), len(views.R_view) // len(index)
        views, shapes = self.augmented(index, views)
        mean, logvar = self.taught(views, not self.encoder_only)
        said, reading = None, dict[str, Tensor]()
        if self.config.reads_crops:
            shown, painted = some_repainted(views, self.data.backgrounds, group)
            crops = compose(shown, self.data.backgrounds, cut_off=CUT_OFF)
            with self.engine.autocast():
                said = full_precision(self.model.encoder(
                    crops.image, roughly(crops.focal), hints(mean, logvar, group)))
            reading = self.reading_terms(said, crops, mean, logvar, group, painted)
            if self.encoder_only:
                return {**reading, **self.drawing_terms(said, views, group)}
        means, spreads = (x.view(count, group, -1) for x in (mean, (0.5 * logvar).exp()))
        if self.free_about_z:
            # Which side of a round body is its front is agreed on by looking: the one that the
            # first view shows. The code is read there, the other views are turned along.
            views = replace(views, R_view=facing_first(views.R_view, group))
            code, spread = means[:, 0], spreads[:, 0]
        else:
            use = torch.rand(count, group, device=self.device)
            use = (use <= use.sort(1).values.gather(
                1, torch.randint(group, (count, 1), device=self.device))).to(means.dtype)
            sureness = use[..., None] * torch.exp(-logvar).view_as(means)
            code, spread = agreed(means, sureness), agreed(spreads, sureness)
        code = code + spread * torch.randn_like(code)
        if said is not None:
            read = said.mean.view(count, group, -1)[:, 0]
            by_student = torch.rand(count, 1, device=self.device) < self.student_share
            code = torch.where(by_student, read, code)

        with self.engine.autocast():
            volume, style = self.model.generator.volume(code)
            drawn = full_precision(self.model.generator.render(
                volume, style, views.R_view, views.perspective))
        style = style.float()
        terms = {**reconstruction(drawn, views, self.weights),
                 **proportions(self.model.generator.proportions(style), shapes.size,
                               shapes.center, shapes.log_radius, self.weights)}
        return {**terms, 'kl': kl(mean, logvar, self.weights), **reading}

    def _together(self, mean: Tensor, logvar: Tensor, group: int) -> Tensor:
        """What a crop's code should be (B, D): what the ``group`` views of its instance agree on.

        A round body's code is that of the side that is seen, so each view has its own.
        """
        if self.free_about_z:
            return mean.detach()
        means, sureness = (x.detach().view(-1, group, x.shape[1])
                           for x in (mean, torch.exp(-logvar)))
        return agreed(means, sureness).repeat_interleave(group, 0)

    def train_step(self) -> dict[str, float]:
        """One optimiser step; returns the terms."""
        config = self.config
        index, views = self.data.batch(config.instances, config.views, STEEP)
        self.model.train()
        told = descend(self.losses(index, views), self.optimizer, self.engine,
                       learning_rate(self.step, config), 5.0)
        follow(self.average, self.model, config.ema, self.step)
        self.step += 1
        return told

    @property
    def _parts(self) -> dict[str, Stateful]:
        return {'model': self.model, 'average': self.average, 'teacher': self.teacher,
                'optimizer': self.optimizer}

    def save_state(self, path: Path) -> None:
        """Everything a resumed run needs; atomic. All processes must call it, the first writes."""
        config = self.config
        save_state(path, self.engine, self._parts, {
            'step': self.step, 'seed': config.seed, 'data': self.data.fingerprint,
            'variant': config.variant, 'only': config.only, 'mirror': config.mirror,
            'stretch': config.stretch})

    def load_state(self, path: Path) -> None:
        """Take up a run where ``save_state`` left it; PoseError where it was another one."""
        config = self.config
        state = read_state(path, self.device, self.data.fingerprint, config.seed)
        if state.get('variant', config.variant) != config.variant:
            raise PoseError(f"{path.parent} holds a run of the variant '{state['variant']}': give "
                            'that --variant, or another --run.')
        if state.get('only', config.only) != config.only:
            raise PoseError(f'{path.parent} holds a run that trains other parts (--only): go on as '
                            'it began, or choose another --run.')
        check_pictures(path, state, config.mirror, config.stretch)
        if is_former(state['teacher']):
            self.teacher = self._former_encoder()
        take_up(path, state, self.engine, self._parts)
        self.step = state['step']

    def begin_from(self, path: Path) -> None:
        """Start with another run's models (its ``state.pt``): what they share is learned already.

        Or with a model's .safetensors, which has no clean encoder: with ``only='teacher'`` to train
        one, with ``only='encoder'`` to go on with the codes that this category's model reads now
        (a run that began so has no clean encoder, either). Raises PoseError where the file is
        missing, its layers have other sizes (but for shorter codes, and none of the optional ones),
        it draws another category, or a clean encoder is needed.
        """
        if not path.is_file():
            raise PoseError(f'There is no training state at {path}: give the state.pt of a run, or '
                            'a model.')
        only = self.config.only
        if path.suffix == MODEL:
            known = load_model(path)
            if only == 'encoder' and known.card.category != self.config.category:
                raise PoseError(f'{path} draws a {known.card.category}, which the encoder alone '
                                'would learn beside: give a model of the category, or train with '
                                '--only teacher and --only drawing first.')
            state: dict[str, Any] = {'average': known.state_dict(),
                                     'teacher': FormerEncoder.state_of(known.encoder)}
        else:
            state = torch.load(path, map_location=self.device, weights_only=True)
        former = is_former(state['teacher'])
        if former and only not in ('teacher', 'encoder'):
            raise PoseError(f'{path} holds no clean encoder to learn codes from: train one first '
                            'with --only teacher, and give the state.pt of that run.')
        try:
            for part in (self.model, self.average):
                part.load_state_dict(_with_own_layers(part, state['average']))
            if former and only == 'encoder':
                self.teacher = self._former_encoder()
                self.teacher.load_state_dict(_with_own_layers(self.teacher, state['teacher']))
            elif not former and isinstance(self.teacher, CleanEncoder):
                self.teacher.load_state_dict(self.teacher.taking_up(state['teacher']))
        except (KeyError, RuntimeError) as error:
            raise PoseError(f'{path} does not fit this model: '
                            f'{str(error).splitlines()[0]}') from error

    def _former_encoder(self) -> FormerEncoder:
        return FormerEncoder(self.model.encoder.config).to(self.device)

    def finish(self, figures: dict[str, Any]) -> None:
        """Write the averaged model with its card."""
        card = dataclasses.replace(
            self.average.card, figures=figures,
            training={**dataclasses.asdict(self.config), 'step': self.step,
                      'data_hash': self.data.fingerprint,
                      'recipe': self.data.recipe, 'torch': str(torch.__version__)})
        self.average.card = card
        self.average.eval()
        save_model(self.average, Path(self.config.out))
