"""All targets, sources, data sets, inputs, backends, tasks and methods: one entry each, without heavy imports."""
