"""Connected components, against a graph library."""

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedtune.documents.document_set import connected_components


def _edges(nodes: int):
    return st.lists(st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)), max_size=60)


class TestConnectedComponents:
    @given(st.integers(1, 40).flatmap(lambda nodes: st.tuples(st.just(nodes), _edges(nodes))))
    def test_equals_networkx(self, graph: tuple[int, list[tuple[int, int]]]):
        nodes, edges = graph
        expected = np.arange(nodes)
        reference = nx.Graph()
        reference.add_nodes_from(range(nodes))
        reference.add_edges_from(edges)
        for component in nx.connected_components(reference):
            expected[list(component)] = min(component)
        ends = np.array(edges, np.int64).reshape(-1, 2)
        np.testing.assert_array_equal(connected_components(ends[:, 0], ends[:, 1], nodes), expected)

    def test_joins_groups_that_a_greedy_rule_would_tear(self):
        # a-b, c-b, c-d, a-d: Finetuner 0.8 gives b two labels and drops the last pair.
        components = connected_components(np.array([0, 2, 2, 0]), np.array([1, 1, 3, 3]), 5)
        assert components.tolist() == [0, 0, 0, 0, 4]

    def test_long_shuffled_chain(self):
        nodes = 200_000
        order = np.random.default_rng(0).permutation(nodes)
        assert not connected_components(order[:-1], order[1:], nodes).any()
