# A small run with all features of a real one; sourced by the benches that kill it or run it for long.
# Expects $work (a folder) and $retouch (the launcher).

# tiny_autoencoder: trains the autoencoder of the runs into $work/ae.
tiny_autoencoder() {
  cat >"$work/autoencoder.json" <<'JSON'
{ "task": "autoencoder", "seed": 3, "steps": 4, "averages": [], "samples": { "count": 2 },
  "model": { "config": { "_class_name": "AutoencoderKL", "block_out_channels": [8, 16], "down_block_types": ["DownEncoderBlock2D",
  "DownEncoderBlock2D"],
    "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"], "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 4 } },
  "data": { "sceneCount": 23, "size": 16 }, "batch": { "size": 4 } }
JSON
  "$retouch" train --options "$work/autoencoder.json" --output "$work/ae" >/dev/null 2>"$work/err" || { cat "$work/err"; exit 1; }
}

# tiny_denoiser STEPS MEMBERS: writes $work/denoiser.json; MEMBERS (objective, checkpoints, …) complete the options.
tiny_denoiser() {
  cat >"$work/denoiser.json" <<JSON
{ "task": "denoiser", "seed": 5, "steps": $1, "averages": [ { "decay": 0.9 }, { "decay": 0.99, "warmup": "ratio" } ],
  "model": { "autoencoder": "$work/ae/model", "scheduler": { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
  "beta_schedule": "scaled_linear",
      "num_train_timesteps": 1000, "prediction_type": "v_prediction" },
    "config": { "_class_name": "DiTTransformer2DModel", "num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4,
    "out_channels": 4, "num_layers": 2,
      "sample_size": 8, "patch_size": 2, "num_embeds_ada_norm": 10, "norm_num_groups": 1 } },
  "data": { "sceneCount": 23, "size": 16, "flip": 0.5, "workers": 2 },
  $2 }
JSON
}
