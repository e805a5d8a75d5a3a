# A denoiser whose weights dominate a run; sourced by the benches of checkpoints and of divided parts.
# Expects $work and $root (folders).

# heavy_denoiser STEPS MEMBERS: writes $work/run.json, a new DiT of about 100 million weights with AdamW and one average; MEMBERS (batch,
# log, checkpoints) complete the options.
heavy_denoiser() {
  cat >"$work/run.json" <<JSON
{
  "task": "denoiser", "steps": $1,
  "model": {
    "autoencoder": "$root/demo/model/vae",
    "config": {
      "_class_name": "DiTTransformer2DModel", "attention_head_dim": 64, "num_attention_heads": 12, "num_layers": 10, "in_channels": 8,
      "out_channels": 8, "sample_size": 16, "patch_size": 2, "num_embeds_ada_norm": 10, "norm_num_groups": 32
    },
    "scheduler": { "_class_name": "DDIMScheduler", "prediction_type": "v_prediction" }
  },
  "data": { "sceneCount": 64, "size": 64 }, "objective": {}, "averages": [ { "decay": 0.99, "warmup": "ratio" } ],
  $2
}
JSON
}
