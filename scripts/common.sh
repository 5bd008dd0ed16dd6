# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
# Sourced by scripts/env, scripts/test and scripts/demo: enter_environment makes .venv once, again
# only what a changed file asks for, and puts it in front. This file looks after the machine (which
# Python, which Debian packages); scripts/set_up.py fills .venv.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
VENV="$ROOT/.venv"

say() { printf 'set-up: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

enter_environment() {
  ROS_PREFIX="$(sourced_ros_prefix)"
  local fingerprint
  fingerprint="$(set_up_fingerprint)"
  if ! is_ready "$fingerprint"; then
    set_up "$fingerprint"
  fi
  export VIRTUAL_ENV="$VENV" PATH="$VENV/bin:$PATH"
  unset PYTHONHOME
  if [ -z "$ROS_PREFIX" ]; then
    # The wheels would start Python a second time to set these; with them set, once is enough.
    local libraries=("$VENV"/lib/python3.*/site-packages/ros_*.libs)
    local joined
    joined="$(IFS=:; printf '%s' "$VENV/lib:${libraries[*]}")"
    export LD_LIBRARY_PATH="$joined${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
    export AMENT_PREFIX_PATH="$VENV"
  fi
}

# The prefix of a sourced ROS 2 that has rclpy; nothing where none is sourced.
sourced_ros_prefix() {
  local prefix prefixes
  [ -n "${ROS_DISTRO:-}" ] || return 0
  IFS=: read -r -a prefixes <<< "${AMENT_PREFIX_PATH:-}"
  for prefix in "${prefixes[@]}"; do
    [ "$prefix" != "$VENV" ] || continue
    if compgen -G "$prefix/lib/python3*/site-packages/rclpy" > /dev/null \
        || compgen -G "$prefix/local/lib/python3*/dist-packages/rclpy" > /dev/null; then
      printf '%s' "$prefix"
      return 0
    fi
  done
}

set_up_fingerprint() {
  (
    cd "$ROOT" || exit
    printf '%s\n' "$ROOT" "$ROS_PREFIX"
    cat requirements/*.txt scripts/common.sh scripts/set_up.py scripts/torchvision_ops.py \
      setup.py setup.cfg package.xml interfaces/*/{CMakeLists.txt,package.xml,msg/*}
  ) | sha256sum
}

is_ready() { [ "$(cat "$VENV/.set-up/ready" 2> /dev/null)" = "$1" ] && [ -x "$VENV/bin/python" ]; }

set_up() {
  local lock
  exec {lock}< "$ROOT/scripts/common.sh"
  if ! flock -n "$lock"; then
    say 'another set-up of this checkout is running; waiting for it ...'
    flock "$lock"
  fi
  if ! is_ready "$1"; then
    choose_python
    require_system_packages
    "$PYTHON" -I "$ROOT/scripts/set_up.py" --fingerprint "$1" --ros-prefix "$ROS_PREFIX" \
      --lock "$lock" || exit
  fi
  exec {lock}<&-
}

# Sets PYTHON to an interpreter that fits, preferably one that lacks nothing.
choose_python() {
  local candidate seen='' first='' interpreter
  if [ -n "$ROS_PREFIX" ]; then  # whichever Python that ROS 2 was built for
    for candidate in "${NABS_POSE_PYTHON:-python3}" python3 /usr/bin/python3; do
      if "$candidate" -c 'import rclpy' 2> /dev/null; then
        PYTHON="$(base_of "$candidate")"
        PYTHON="${PYTHON#*:}"
        return
      fi
    done
    die "ROS 2 ${ROS_DISTRO} is sourced, but python3 cannot import rclpy: put the Python it was" \
      'built for first in PATH, or open a shell without ROS 2.'
  fi
  [ "$(uname -sm)" = 'Linux x86_64' ] \
    || die "ROS 2 from PyPI exists for Linux on x86-64 only (this is $(uname -sm)): source a" \
      'ROS 2 install first.'
  for candidate in ${NABS_POSE_PYTHON:+"$NABS_POSE_PYTHON"} \
      "$(sed -n 's/^python = //p' "$VENV/.set-up/base" 2> /dev/null)" \
      python3 python3.12 python3.11 python3.10 /usr/bin/python3; do
    interpreter="$(command -v "$candidate" 2> /dev/null)" || continue
    interpreter="$(base_of "$interpreter")" || continue
    case "$interpreter" in
      3.10:* | 3.11:* | 3.12:*) ;;
      *) seen="$seen, ${interpreter%%:*}"; continue ;;
    esac
    PYTHON="${interpreter#*:}"
    [ -z "$(lacks_of_python)" ] && return
    first="${first:-$PYTHON}"
  done
  PYTHON="$first"
  if [ -z "$PYTHON" ]; then
    may_install && ! [ -x /usr/bin/python3 ] && install_packages python3 python3-venv python3-dev \
      && choose_python && return
    die "Python 3.10, 3.11 or 3.12 is needed (found: $([ -n "$seen" ] && echo "${seen#, }" || echo none)); install one, or name it" \
      'in NABS_POSE_PYTHON.'
  fi
}

# "VERSION:PATH" of an interpreter; of the one below it if it belongs to an environment.
base_of() {
  "$1" -c 'import sys
print("%d.%d:%s" % (sys.version_info[:2] + (getattr(sys, "_base_executable", sys.executable),)))' \
    2> /dev/null
}

# What of PYTHON is missing, as Debian packages.
lacks_of_python() {
  "$PYTHON" - << 'END'
import importlib.util
import os
import sys
import sysconfig

version = 'python%d.%d' % sys.version_info[:2]
if importlib.util.find_spec('ensurepip') is None or importlib.util.find_spec('venv') is None:
    print(version + '-venv')
if not os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')):
    print(version + '-dev')
END
}

require_system_packages() {
  local missing
  missing="$(missing_packages)"
  # shellcheck disable=SC2086
  if [ -n "$missing" ] && may_install && install_packages $missing; then
    missing="$(missing_packages)"
  fi
  [ -n "$missing" ] || return 0
  if command -v apt-get > /dev/null; then
    die "packages of the system are missing: run \"sudo apt install $missing\" and start again."
  fi
  die "the system lacks what Debian calls $missing: install it and start again."
}

# Debian packages that the set-up needs and cannot do without; cmake and ninja come from PyPI.
missing_packages() {
  local missing
  if [ -n "$ROS_PREFIX" ]; then
    missing="$("$PYTHON" -c '
import importlib.util, sys
if importlib.util.find_spec("ensurepip") is None:
    print("python%d.%d-venv" % sys.version_info[:2])
for name in sys.argv[2:]:
    if importlib.util.find_spec(name) is None:
        print("ros-%s-%s" % (sys.argv[1], name.replace("_", "-")))' "$ROS_DISTRO" \
      diagnostic_msgs geometry_msgs sensor_msgs std_msgs std_srvs tf2_msgs vision_msgs \
      visualization_msgs)"
  else
    missing="$(lacks_of_python)"
    command -v c++ > /dev/null || command -v g++ > /dev/null || missing="$missing g++"
  fi
  # shellcheck disable=SC2086
  echo $missing
}

# Root (a container, CI) may have missing Debian packages installed; a user's machine is asked.
may_install() {
  command -v apt-get > /dev/null || return 1
  [ "$(id -u)" = 0 ] || { [ "${CI:-}" = true ] && sudo -n true 2> /dev/null; }
}

install_packages() {
  local sudo=''
  [ "$(id -u)" = 0 ] || sudo='sudo -n'
  say "installing Debian packages: $*"
  $sudo apt-get update -qq >&2 \
    && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >&2
}
