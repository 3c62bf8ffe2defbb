"""Replicas that Ray begins, where it is installed."""

import pytest

from assistant.config import ModelConfig

pytest.importorskip("ray", reason="salmonn-live[scale] is not installed")


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_begins_a_replica_and_begins_it_again(tiny_config: ModelConfig) -> None:
    from streaming.server.replicas.ray_places import ray_places

    with ray_places(1, tiny_config) as listening:
        listening.settimeout(300)
        for _ in range(2):
            link, _ = listening.accept()
            link.close()  # which ends it
