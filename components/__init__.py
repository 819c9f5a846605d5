"""Pipeline components: one folder per step, each a thin call of `embedtune.steps`."""
