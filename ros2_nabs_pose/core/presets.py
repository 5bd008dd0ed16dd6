# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""How much effort a fit takes: stages of steps, and what each knob costs and buys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .types import PoseError

MOST_READINGS = 4
"""As many as there are ``readings.LOOKS``."""
MOST_CUTS = 5
"""One more than there are ``cuts.OTHER_CUTS``."""


@dataclass(frozen=True)
class PoseStage:
    """Gauss-Newton steps with the code held; afterwards each crop keeps its ``keep`` best.

    sizes: pixels of the crop that each step looks at, coarse to fine; none only compares. Coarse
    steps bridge larger errors, fine ones are more exact; each costs three synthesised views a
    hypothesis. explained: a limit of the preset's whole loss; steps that do not end below it, or
    not below where they began, are taken back, since where the generator cannot draw what it sees
    a lower loss is no better pose. With a limit nothing pulls; 0 keeps all steps. spins_deg: as
    many steps begin at the best of the hypothesis turned by so much about the object's own axis,
    along which losses have many minima; what they find must be clearly better. A view each, and
    twice the steps; round objects are not turned. As the last of several stages, steps with a limit
    are taken once an object, from the answer that was chosen (``Preset.ended``). PoseError for
    turns without a limit.
    """

    sizes: tuple[int, ...]
    keep: int
    explained: float = 0.0
    spins_deg: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.spins_deg and not self.explained:
            raise PoseError('A pose stage with spins_deg needs a limit: give explained, too.')


@dataclass(frozen=True)
class JointStage:
    """Gradient steps (Adam) on pose and code; afterwards each crop keeps its ``keep`` best.

    The feature volume is computed and differentiated anew in every step, which costs about eight
    synthesised views a hypothesis: few of them, on few hypotheses.
    """

    iterations: int
    keep: int


@dataclass(frozen=True)
class RefineStage:
    """Moves by the refiner (``refiner``); afterwards each crop keeps its ``keep`` most likely.

    Each time costs a view and a pass of the refiner a hypothesis, telling how likely they are one
    more, where there is a choice. instead: stages that are gone through where no refiner knows the
    category. around_deg: where even the best hypothesis of a crop is worth less than ``doubt``,
    each is also turned by so much about three axes and back (round objects: two), and these are
    moved as well, ``around_times`` (0: ``times``); then most starts that are 45 degrees off
    converge. 0: never. hopeless: each time those hypotheses are dropped that were worth less than
    so much of their crop's best one; 0: none, a track's own pose and turned ones never.
    settled_deg: who turned by less than this, and shifted and grew as little, is moved no more
    (``refine``); 0: all are moved to the end.
    """

    times: int
    keep: int
    instead: tuple[PoseStage | JointStage, ...]
    around_deg: float = 0.0
    around_times: int = 0
    doubt: float = 0.65
    hopeless: float = 0.5
    settled_deg: float = 2.0

    def __post_init__(self) -> None:
        if self.settled_deg < 0.0:
            raise PoseError(f'settled_deg cannot be {self.settled_deg:g}: give 0 or more degrees.')
        if not 0.0 <= self.hopeless < 1.0:
            raise PoseError(f'A share of the best worth cannot be {self.hopeless:g}: give hopeless '
                            '0 to less than 1.')


Stage = RefineStage | PoseStage | JointStage


@dataclass(frozen=True)
class Preset:
    """How a fit goes.

    readings: in how many ways a crop is read (``readings.LOOKS``); four cost about twice as much
    as one. cuts: of a new object's box; all but the first only where the refiner finds the answer
    from that worth less than ``cuts_below``. Each is read and fitted like the first, and the answer
    of highest worth counts. cold_starts: the encoder's proposals tried for a new object; more find
    the right side of a hidden front, or a laptop's base, more often, each costs a hypothesis in the
    first stage. warm_starts: likely proposals that challenge a track's own pose. stages: see
    ``RefineStage``, ``PoseStage``, ``JointStage``; the last is none of the first kind. mirror: the
    refiner sees every pair in a mirror, too, where it and the category have learned from mirror
    images: twice the work, and the mean of both is nearer to the truth. rate_*: lengths of joint
    steps.
    latent_prior: holds codes near what training saw; 0 lets them explain clutter. start_prior:
    weight of the encoder's word when losses are compared: where views look alike, it decides.
    sweep: azimuths swept, each seen from four heights, where the starts explain nothing; 0 none.
    pull: how strongly pose steps are drawn to tilt, place and size as read, or as refined; it
    steadies shapes that the generator cannot draw. losses: terms of the final comparison and of
    joint steps, by name (see ``losses``); 'features' costs a pass of the encoder's first layers,
    'lpips' and 'vgg' that of an ImageNet network.
    """

    name: str
    cold_starts: int
    warm_starts: int
    stages: tuple[Stage, ...]
    readings: int = 1
    cuts: int = 1
    cuts_below: float = 0.8
    mirror: bool = False
    rate_rotation: float = 0.035
    rate_place: float = 0.012
    rate_latent: float = 0.06
    latent_prior: float = 0.002
    start_prior: float = 0.04
    pull: float = 0.002
    sweep: int = 0
    losses: Mapping[str, float] = field(default_factory=lambda: {
        'photometric': 1.0, 'silhouette': 0.5, 'features': 0.3})

    def __post_init__(self) -> None:
        if self.readings not in range(1, MOST_READINGS + 1):
            raise PoseError(f'A crop cannot be read {self.readings} times: give 1 to '
                            f'{MOST_READINGS} readings.')
        if self.cuts not in range(1, MOST_CUTS + 1):
            raise PoseError(f'A box cannot be cut out {self.cuts} times: give 1 to {MOST_CUTS} '
                            'cuts.')

    @property
    def begun(self) -> Preset:
        """What each cut goes through: all but a last stage that counts only where it explains.

        The preset itself where it has no such stage.
        """
        last = self.stages[-1]
        if len(self.stages) == 1 or not isinstance(last, PoseStage) or not last.explained:
            return self
        return replace(self, stages=(*self.stages[:-1], PoseStage((), last.keep)))

    @property
    def ended(self) -> Preset | None:
        """What the one answer that was chosen goes through then; None where that is nothing."""
        return None if self.begun is self else replace(self, stages=self.stages[-1:])


@dataclass(frozen=True)
class PaperPreset:
    """The published protocol's settings (see ``paper``); nothing here is tuned.

    rates: Adam's, angles in half turns. within_deg, among: the choice's cluster.
    """

    name: str
    losses: Mapping[str, float]
    starts: int = 32
    iterations: int = 50
    latent_prior: float = 1.0
    among: int = 5
    within_deg: float = 10.0
    rates: Mapping[str, float] = field(default_factory=lambda: {
        'latent': 0.3, 'elevation': 0.01, 'azimuth': 0.03, 't': 0.03, 'scale': 0.03,
        'in_plane': 0.01})


# Where a refiner knows the category, gradient steps after it make poses worse on held-out renders
# (docs/experiments.md, "Steps after the refiner"), so presets end with its word; the steps of
# 'accurate' count only where next to nothing is left unexplained.
PRESETS: dict[str, Preset | PaperPreset] = {
    'warm': Preset('warm', cold_starts=2, warm_starts=1, stages=(
        RefineStage(1, 1, instead=(PoseStage((16,), 1), PoseStage((32,), 1))), PoseStage((), 1)),
        readings=2, losses={'photometric': 1.0, 'silhouette': 0.5}),
    'cold': Preset('cold', cold_starts=4, warm_starts=2, stages=(
        RefineStage(3, 1, instead=(PoseStage((16, 32), 1), JointStage(4, 1), PoseStage((32,), 1))),
        PoseStage((), 1)),
        readings=4, cuts=5, mirror=True, start_prior=0.1,
        losses={'photometric': 0.5, 'silhouette': 1.0, 'features': 0.3}),
    'accurate': Preset('accurate', cold_starts=4, warm_starts=4, stages=(
        RefineStage(3, 1, instead=(PoseStage((16, 16, 32, 32), 2), JointStage(12, 1),
                                   PoseStage((32, 64), 1)), around_deg=30.0, around_times=6,
                    doubt=0.75),
        PoseStage((32, 32, 64), 1, explained=0.1,
                  spins_deg=(-30.0, -20.0, -10.0, 10.0, 20.0, 30.0))),
        readings=4, cuts=5, cuts_below=0.95, mirror=True, start_prior=0.1, sweep=8,
        losses={'photometric': 0.5, 'silhouette': 1.0, 'features': 0.3}),
    'paper': PaperPreset('paper', {'vgg': 1.0}),
    # The same with our encoder's features, for where VGG's weights cannot be downloaded.
    'paper_offline': PaperPreset('paper_offline', {'features': 1.0}),
}


def staged(name: str) -> Preset:
    """A preset that fits in stages, by name; TypeError for the paper's."""
    preset = PRESETS[name]
    if not isinstance(preset, Preset):
        raise TypeError(f'{name} is the published protocol and has no stages')
    return preset
