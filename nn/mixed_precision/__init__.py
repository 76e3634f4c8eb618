"""Mixed-precision training: weights on differential PCM pairs, updates gathered in high precision."""
