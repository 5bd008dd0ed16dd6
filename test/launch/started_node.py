# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The node as its launch file starts it; run by test_started_node.py through ``launch_testing``."""

from pathlib import Path
import unittest

from diagnostic_msgs.msg import DiagnosticArray
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
import launch_testing.actions
import launch_testing.asserts
from rcl_interfaces.srv import GetParameters
import rclpy
from std_srvs.srv import Trigger

LAUNCH_FILE = Path(__file__).resolve().parents[2] / 'launch' / 'nabs_pose.launch.py'
TIMEOUT_S = 60.0


def generate_test_description():
    arguments = {'namespace': 'left', 'preset': 'warm', 'image': '/cam/image_raw'}
    return LaunchDescription([
        IncludeLaunchDescription(PythonLaunchDescriptionSource(str(LAUNCH_FILE)),
                                 launch_arguments=arguments.items()),
        launch_testing.actions.ReadyToTest()])


class TestStartedNode(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        rclpy.init()
        cls.node = rclpy.create_node('test_client')

    @classmethod
    def tearDownClass(cls):
        cls.node.destroy_node()
        rclpy.shutdown()

    def call(self, service_type, name, request):
        client = self.node.create_client(service_type, name)
        self.assertTrue(client.wait_for_service(TIMEOUT_S), f'{name} is not there')
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self.node, future, timeout_sec=TIMEOUT_S)
        return future.result()

    def test_parameters_are_those_of_arguments_over_those_of_the_file(self):
        names = ['preset', 'device', 'class_map']
        values = self.call(GetParameters, '/left/nabs_pose/get_parameters',
                           GetParameters.Request(names=names)).values
        self.assertEqual(values[0].string_value, 'warm')
        self.assertEqual(values[1].string_value, 'cpu')
        self.assertIn('cup:mug', values[2].string_array_value)

    def test_it_reports_under_its_name_and_misses_the_remapped_image(self):
        heard = []
        self.node.create_subscription(
            DiagnosticArray, '/diagnostics', lambda message: heard.extend(message.status), 10)
        deadline = self.node.get_clock().now().nanoseconds + TIMEOUT_S * 1e9
        while not any('/cam/image_raw' in status.message for status in heard):
            self.assertLess(self.node.get_clock().now().nanoseconds, deadline,
                            [status.message for status in heard])
            rclpy.spin_once(self.node, timeout_sec=0.2)
        self.assertTrue(heard[-1].name.startswith('left/nabs_pose'), heard[-1].name)

    def test_services_answer(self):
        self.assertTrue(self.call(Trigger, '/left/nabs_pose/reset', Trigger.Request()).success)


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):

    def test_it_ended_well(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
