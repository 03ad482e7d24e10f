# SPDX-License-Identifier: MIT
"""What the training commands share: rows, keyboard, augmentation, model, checkpoints."""
