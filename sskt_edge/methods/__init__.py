"""The training methods: one folder for each, with its options (without torch) and its learner."""
