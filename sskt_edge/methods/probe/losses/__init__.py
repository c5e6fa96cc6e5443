"""How far the target's answers are from the probe's. Each file is one loss: [N,K], [N,K], T → [N], or a scalar."""
