#!/usr/bin/env bash
# Evaluates the latent perceptual loss and the statistics for its normalisation. A denoiser is trained on photographs until its learning
# rate has decayed to 0, then post-trained with the diffusion loss only and with the arms of ablations/statistics.json, at equal gradient
# ratios.
#
#   bench/lpl.sh FOLDER
#
# FOLDER contains photographs in subfolders by class. Environment: REFERENCE, a folder of held-out photographs (default: FOLDER_test);
# AUTOENCODER, a component folder (default: the demo's); SQUEEZENET, weights of SqueezeNet 1.0, for the decisive Fréchet distance; LATENT,
# side, and CHANNELS of the latents (default: 16, 4); PATCH (default: 2); SIDE of the pictures (default: 64); PREDICTION, epsilon,
# v_prediction or flow (default: v_prediction); PRETRAINING and STEPS (default: 10000, 1000); BATCH of a post-training step (default: 8);
# SEEDS (default: "1 2 3"); SAMPLES per model (default: 1000) and REFERENCES, photographs (default: as many); GUIDANCE (default: "[1.5]");
# SAMPLER_STEPS (default: "[50]"); OUT, the output folder (default: artifacts/lpl); RETOUCH, the launcher. Completed work is reused; the
# same command in several shells shares the work.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# -eq 1 ] || { sed -n 2,17p "$0"; exit 2; }
data=$(cd "$1" && pwd)
reference=$(cd "${REFERENCE:-${data}_test}" && pwd)
autoencoder=$(cd "${AUTOENCODER:-$root/demo/model/vae}" && pwd)
latent=${LATENT:-16} channels=${CHANNELS:-4} side=${SIDE:-64} retouch=${RETOUCH:-$root/retouch}
classes=$(find "$data" -mindepth 1 -maxdepth 1 -type d | wc -l)
mkdir -p "${OUT:-$root/artifacts/lpl}"
work=$(cd "${OUT:-$root/artifacts/lpl}" && pwd)

scheduler='"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.0'
[ "${PREDICTION:=v_prediction}" = flow ] ||
  scheduler='"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
      "num_train_timesteps": 1000, "prediction_type": "'$PREDICTION'", "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1'

cat >"$work/pretraining.json" <<JSON
{
  "task": "denoiser", "seed": 2, "steps": ${PRETRAINING:-10000},
  "model": {
    "autoencoder": "$autoencoder",
    "config": {
      "_class_name": "DiTTransformer2DModel", "attention_head_dim": 40, "num_attention_heads": 4, "num_layers": 5,
      "in_channels": $channels, "out_channels": $channels, "sample_size": $latent, "patch_size": ${PATCH:-2},
      "num_embeds_ada_norm": $classes, "norm_num_groups": 32, "activation_fn": "gelu-approximate", "attention_bias": true
    },
    "scheduler": { $scheduler }
  },
  "data": { "folder": "$data", "size": $side, "cacheLatents": true, "cache": "$work/cache" },
  "batch": { "size": 32 },
  "optimiser": {
    "learningRate": 8e-4, "adamW": { "beta2": 0.99, "weightDecay": 0.01 }, "schedule": { "shape": "cosine", "warmupSteps": 200 }
  },
  "averages": [ { "decay": 0.999, "warmup": "ratio" } ],
  "objective": {}, "conditioning": { "dropout": 0.1 },
  "log": { "every": 20, "tensorBoard": false }, "checkpoints": { "every": 1000, "keep": 1 }
}
JSON
model=$work/pretraining/model-average-0.999
if [ ! -d "$model" ]; then
  given=(--options "$work/pretraining.json" --output "$work/pretraining")
  [ ! -e "$work/pretraining/options.json" ] || given=(--resume "$work/pretraining")
  "$retouch" train "${given[@]}"
fi

decisive=(--set-spec evaluation.decisive=fwd)
[ -z "${SQUEEZENET:-}" ] || decisive=(--set-spec "evaluation.squeezeNet=$SQUEEZENET" --set-spec evaluation.decisive=fd
  --set-spec 'evaluation.metrics=["fd","prdc","fwd","spectrum","sharpness"]')
# shellcheck disable=SC2086
"$retouch" ablate "${SPEC:-statistics}" --model "$model" --data "$data" --output "$work/arms" --seeds ${SEEDS:-1 2 3} \
  --set "steps=${STEPS:-1000}" --set "batch.size=${BATCH:-8}" --set optimiser.schedule.warmupSteps=20 --set "data.size=$side" \
  --set 'averages=[{"decay":0.99,"warmup":"ratio"}]' --set "data.cache=$work/cache" --set-spec "heldOut.folder=$reference" \
  --set-spec "evaluation.samples=${SAMPLES:-1000}" --set-spec "evaluation.references=${REFERENCES:-${SAMPLES:-1000}}" \
  --set-spec "evaluation.samplerSteps=${SAMPLER_STEPS:-[50]}" --set-spec "evaluation.guidance=${GUIDANCE:-[1.5]}" "${decisive[@]}"
