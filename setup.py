# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Installs the package, for colcon (ament_python) and for ``pip install .`` alike."""

import os
import sys
import xml.etree.ElementTree as ElementTree

from setuptools import find_packages, setup

NAME = 'ros2_nabs_pose'
ROOT = os.path.dirname(os.path.abspath(__file__))
# What the code finds again through ros2_nabs_pose.resources, in a checkout and below share/.
SHARED = {'launch': '.py', 'config': '.yaml', 'rviz': '.rviz', 'foxglove': '.json',
          'examples': '.py', 'models': '.safetensors', 'demo': ''}

manifest = ElementTree.parse(os.path.join(ROOT, 'package.xml')).getroot()


def text(tag):
    """Return a field of package.xml, the one place where name, version and licence are kept."""
    return ' '.join(manifest.findtext(tag).split())


def shared_files():
    """Return (folder below the prefix, files) of everything that goes below share/."""
    files = [('share/ament_index/resource_index/packages', ['resource/' + NAME]),
             ('share/' + NAME, ['package.xml'])]
    for top, endings in SHARED.items():
        for folder, folders, names in os.walk(top):
            folders.sort()
            chosen = [os.path.join(folder, name) for name in sorted(names)
                      if name.endswith(endings) and not name.startswith('.')]
            if chosen:
                files.append((os.path.join('share', NAME, folder), chosen))
    return files


os.chdir(ROOT)
setup(
    name=NAME,
    version=text('version'),
    description='Category-level 6D object poses by neural analysis by synthesis, for ROS 2',
    long_description=text('description'),
    maintainer=text('maintainer'),
    maintainer_email=manifest.find('maintainer').get('email'),
    license=text('license'),
    python_requires='>=3.10',
    packages=find_packages(include=[NAME, NAME + '.*']),
    package_data={NAME: ['py.typed', '**/*.json', '**/*.yaml', '**/*.npz']},
    # An editable install finds them in the checkout; copies of them would go stale.
    data_files=[] if 'editable_wheel' in sys.argv else shared_files(),
    install_requires=['setuptools', 'numpy', 'opencv-python-headless<5', 'PyYAML', 'safetensors',
                      'torch>=2.1'],
    extras_require={
        'data': ['mitsuba>=3.5', 'numpy>=1.25', 'pillow', 'scipy', 'tqdm', 'trimesh>=5'],
        'train': ['tqdm', 'tensorboard', 'matplotlib', 'lpips'],
        # More than one GPU, or mixed precision.
        'fabric': ['lightning-fabric'],
        'bags': ['rosbags'],
        'test': ['pytest', 'pytest-timeout', 'hypothesis'],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'nabs_pose_node = ros2_nabs_pose.node:main',
            'box_publisher = ros2_nabs_pose.box_publisher:main',
            'yolo_adapter = ros2_nabs_pose.yolo_adapter:main',
            'nabs-pose = ros2_nabs_pose.cli.main:main',
        ],
        'ament_copyright.license': [
            'apache2_short = ros2_nabs_pose.licence:SHORT_APACHE_NOTICE',
        ],
    },
)
