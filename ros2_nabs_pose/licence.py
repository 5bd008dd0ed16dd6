# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The notice at the head of every file, as ``ament_copyright`` wants to know it.

setup.py registers it as an entry point of the group ``ament_copyright.license``; the linter knows
only the long form of the Apache notice by itself.
"""

from types import SimpleNamespace

SHORT_APACHE_NOTICE = SimpleNamespace(
    name='Apache License, Version 2.0', spdx='Apache-2.0',
    file_headers=['{copyright}\nLicensed under the Apache License, Version 2.0; see LICENSE.'],
    license_files=[], contributing_files=[])
