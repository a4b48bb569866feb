# SPDX-License-Identifier: Apache-2.0
"""What planning needs of kept rules, found out when they were compiled, so that most rules are never made whole again.

Of thousands of rules few wake in a log. Their leaves are numbered once for all of them; a rule says by numbers which leaves
it has and which of them open it, and its tree is made again from the kept form when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.detect.sigma_tree import Leaf, Tree, leaf_of, restored

Texts = Mapping[str, Sequence[int]]  # by text in lower case, the numbers of the leaves that are looked up by it


class Pool:
    """The leaves of kept rules by number, each made when it is first asked for."""

    def __init__(self, forms: Sequence[Any], columns: Mapping[str, tuple[Texts, Texts]]) -> None:
        """``columns``: of each field in lower case the whole values, and the texts within values, that are sought."""
        self.columns = columns
        self._forms = forms
        self._made: dict[int, Leaf] = {}
        self._numbers: dict[int, int] = {}  # by the identity of a leaf, which lives as long

    def __len__(self) -> int:
        return len(self._forms)

    def __getitem__(self, number: int) -> Leaf:
        made = self._made.get(number)
        if made is None:
            made = self._made[number] = leaf_of(self._forms[number])
            self._numbers[id(made)] = number
        return made

    def number(self, leaf: Leaf) -> int | None:
        """The number of a leaf of this pool; None of any other, of keywords, and of what cannot be looked up."""
        return None if leaf.field is None or leaf.look is None else self._numbers.get(id(leaf))


class Brief:
    """A kept rule: its tree as kept, its leaves and the fields they look at, and of which leaves one must match for it to.

    ``gate`` is None where no such leaves are known.
    """

    __slots__ = ("_form", "_tree", "fields", "gate", "leaves", "pool")

    def __init__(self, form: Any, pool: Pool, leaves: Sequence[int], fields: Sequence[str], gate: Sequence[int] | None):
        self.pool, self.leaves, self.fields, self.gate = pool, leaves, fields, gate
        self._form = form
        self._tree: Tree | None = None

    def tree(self) -> Tree:
        """The rule's tree."""
        if self._tree is None:
            self._tree = restored(self._form, self.pool)
        return self._tree

    def __eq__(self, other: object) -> bool:
        return self.tree() == (other.tree() if isinstance(other, Brief) else other)

    def __hash__(self) -> int:
        return hash(self.tree())

    def __repr__(self) -> str:
        return repr(self.tree())
