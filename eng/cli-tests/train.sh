# Tests "retouch train" from the command line: exit codes, messages, interruption, kills, a full disk, broken pictures, dry run.
# Prints "ok" and "not ok" lines. $RETOUCH_ROOT is the checkout; the current folder is empty.
set -u
here=$PWD
retouch=${RETOUCH:-$RETOUCH_ROOT/retouch}
n=0
check() { # check WHAT COMMAND...: one test
  n=$((n + 1))
  local what=$1
  shift
  if "$@"; then echo "ok $n - $what"; else echo "not ok $n - $what"; sed 's/^/# /' out err; fi
}
train() { "$retouch" train "$@" >out 2>err; status=$?; }
exited() { [ "$status" = "$1" ]; }
says() { grep -qF -- "$2" "$1"; }
lacks() { ! grep -qF -- "$2" "$1"; }

cat >autoencoder.json <<'JSON'
{ "task": "autoencoder", "seed": 3, "steps": 40, "averages": [ { "decay": 0.9 } ], "samples": { "count": 2 }, // tiny
  "model": { "config": { "_class_name": "AutoencoderKL", "block_out_channels": [8, 16], "down_block_types": ["DownEncoderBlock2D",
  "DownEncoderBlock2D"],
    "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"], "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 4 } },
  "data": { "sceneCount": 13, "size": 16 }, "batch": { "size": 4 }, "checkpoints": { "every": 5 } }
JSON

train --option autoencoder.json
check "an unknown flag ends with 2" exited 2
train --options autoencoder.json --set data.sise=16 --set stesp=1 --output unknown
check "unknown options end with 2" exited 2
check "each is named with a suggestion" says err "'data.sise'. Did you mean 'size'?"
check "all at once" says err "'stesp'. Did you mean 'steps'?"
train --options autoencoder.json --steps many --output unknown
check "a value of another kind ends with 2" exited 2
check "nothing is left behind" test ! -e unknown

mkdir empty full
echo mine >full/file
train --options autoencoder.json --set data.sceneCount=null --data empty --output run-empty
check "a folder without pictures ends with 3" exited 3
check "and makes no run folder" test ! -e run-empty
train --options autoencoder.json --output full
check "an output folder that is not empty ends with 2" exited 2
check "and is left alone" says full/file mine
train --resume full
check "a folder without a run cannot be resumed: 3" exited 3

train --options autoencoder.json --dry-run --output planned
check "--dry-run succeeds" exited 0
check "it counts the parameters" grep -qE '^trained parameters +[0-9.]+' out
check "it measures memory and time" grep -qE '^peak main memory +[0-9.]+ [MG]iB' out
check "it says how long all steps take" grep -qE '^40 steps +[0-9.]+ ' out
check "and writes nothing" test ! -e planned

train --options autoencoder.json --steps 10 --output whole
check "training succeeds" exited 0
check "progress has no escape codes when redirected" lacks err $'\e'
check "progress shows the last step" says err "step 10/10 (100 %)"
check "the result is named on stdout" says out "model: $here/whole/model"
check "there is a log line a step" test "$(wc -l <whole/metrics.jsonl)" = 10

# A checkpoint with wrong keys: a renamed one, so that one is missing and one unexpected; another's shape is changed in config.json.
cp -r whole/model wrong
sed -i 's/decoder.conv_in.bias/decoder.conv_im.bias/' wrong/diffusion_pytorch_model.safetensors
sed -i -z 's/"latent_channels": 4/"latent_channels": 8/' wrong/config.json
train --options autoencoder.json --set model='{"path":"wrong"}' --output run-wrong
check "weights that do not fit end with 3" exited 3
check "a missing key is named" says err "missing: decoder.conv_in.bias"
check "an unexpected key is named" says err "unexpected: decoder.conv_im.bias"
check "a wrong shape is named" says err "wrong shape: decoder.conv_in.weight"

# Ctrl-C. Background jobs of a script ignore SIGINT unless it is reset, hence "set -m".
stopped() { # stopped RUN SIGNAL: starts RUN and sends the signal once it has taken three steps
  set -m
  "$retouch" train --options autoencoder.json --steps 4000 --set checkpoints.every=0 --output "$1" >out 2>err &
  local pid=$!
  set +m
  local waited=0
  until [ "$(cat "$1/metrics.jsonl" 2>/dev/null | wc -l)" -ge 3 ] || [ $waited -ge 1200 ]; do sleep 0.05; waited=$((waited + 1)); done
  kill -"$2" "$pid"
  wait "$pid"
  status=$?
}
stopped stopped INT
check "Ctrl-C ends with 130" exited 130
check "after writing a checkpoint" test -n "$(ls stopped/checkpoints)"
check "and says how to go on" says err "continue with --resume"
taken=$(wc -l <stopped/metrics.jsonl)
train --resume stopped --steps 1
check "fewer steps than are done end with 2" exited 2
train --resume stopped --steps $((taken + 3))
check "--resume completes the run" exited 0
check "from where it stopped" says err "Resuming after step $taken."
check "with one log line a step" test \
  "$(sed -E 's/.*"step":([0-9]+).*/\1/' stopped/metrics.jsonl | tr '\n' ' ')" = "$(seq -s ' ' $((taken + 3))) "
train --resume stopped --seed 4
check "other options cannot be changed on the way: 2" exited 2

# Pictures: PNG files from the run's own sample grids, and broken copies of them.
mkdir pictures
grid=$(ls whole/samples/*.png 2>/dev/null | head -1)
[ -n "$grid" ] \
  || { train --options autoencoder.json --steps 1 --set samples.every=1 --output grid; grid=$(ls grid/samples/*.png | head -1); }
for k in $(seq 18); do cp "$grid" "pictures/good$k.png"; done
head -c 60 "$grid" >pictures/cut.png
echo "no picture" >pictures/text.jpg
train --options autoencoder.json --set data.sceneCount=null --data pictures --set data.maxBadShare=0.1 --set averages=[] --output quarantine
check "a folder with two broken pictures in twenty is trained on" exited 0
check "both are listed" test "$(wc -l <quarantine/quarantine.jsonl)" = 2
check "with the reason" grep -qE '"file":"text.jpg","reason":".+"' quarantine/quarantine.jsonl
check "nothing is deleted" test "$(ls pictures | wc -l)" = 20
train --options autoencoder.json --set data.sceneCount=null --data pictures --output toomany
check "more than the share ends with 3" exited 3
check "and says how many" says err "2 of 20 pictures are unusable"
check "and which" grep -qF cut.png err
check "all of them" grep -qF text.jpg err

if [ "$(id -u)" = 0 ] && mkdir disk && mount -t tmpfs -o size=3m tmpfs disk 2>/dev/null; then
  train --options autoencoder.json --steps 4 --set checkpoints.every=2 --output disk/run
  check "a run fits on the small disk" exited 0
  head -c 8m /dev/zero >disk/filler 2>/dev/null
  before=$(cd disk/run/checkpoints && find . -type f | sort | xargs sha256sum)
  train --resume disk/run --steps 60
  check "a full disk ends with 4" exited 4
  check "and says so" says err "no space is left on the disk"
  check "the checkpoints are as they were" test "$before" = "$(cd disk/run/checkpoints && find . -type f | sort | xargs sha256sum)"
  rm disk/filler
  train --resume disk/run --steps 8
  check "with free space the run resumes" exited 0
  umount disk
else
  n=$((n + 1))
  echo "ok $n - a full disk # skip needs root and tmpfs"
fi

check "three kills at random moments change no byte" "$RETOUCH_ROOT/bench/kill-resume.sh" 3 5 >out 2>err

# A loss that overflows after two finite steps.
cat >denoiser.json <<'JSON'
{ "seed": 5, "steps": 2, "averages": [], "samples": { "count": 2 }, "objective": { "latentWeight": 1 },
  "model": { "autoencoder": "whole/model", "scheduler": { "_class_name": "DDIMScheduler" },
    "config": { "_class_name": "DiTTransformer2DModel", "num_attention_heads": 2, "attention_head_dim": 8,
      "in_channels": 4, "out_channels": 4, "num_layers": 1, "sample_size": 8, "patch_size": 2, "num_embeds_ada_norm": 10 } },
  "data": { "sceneCount": 9, "size": 16 }, "batch": { "size": 2 } }
JSON
train --options denoiser.json --output overflows
check "a small denoiser trains" exited 0
sed -i 's/"latentWeight": 1/"latentWeight": 1e39/' overflows/options.json
train --resume overflows --steps 4
check "a changed option is refused on resume: 3" exited 3
check "and is listed" says err "objective.latentWeight: 1"
train --resume overflows --steps 4 --accept-changes
check "a loss that is not finite ends with 5" exited 5
check "and names the last good checkpoint" says err "The checkpoint of step 2 is kept ('$here/overflows/checkpoints/step-00000002')"
check "which is still there" test -d overflows/checkpoints/step-00000002
train --options denoiser.json --precision float16 --output half
if "$retouch" doctor --json 2>/dev/null | grep -q '"libtorch": ".*\.so\.1\.'; then
  check "float16 that libtorch lacks on processors ends with 2" exited 2
  check "and says what to use instead" says err "use bfloat16 or float32, or a GPU"
  check "and makes no run folder" test ! -e half
else
  check "float16 on a processor" exited 0
  check "logs the scale of the loss" says half/metrics.jsonl '"scaler/scale"'
  check "and writes the model" test -d half/model
fi

# The README's recipe at small scale: training with defaults, then a comparison with the start.
"$retouch" sample --model overflows/model --output drawn --count 8 --steps 2 --size 16 >out 2>err
recipe() { RETOUCH=$retouch OUT=$here/recipe STEPS=3 SAMPLES=8 "$RETOUCH_ROOT/bench/readme.sh" overflows/model drawn drawn 16 >out 2>err; }
check "the README's recipe runs from training to comparison" recipe
check "and ends with the decisive figure of both models" grep -qE '^fwd +recipe|^fwd .*model-average' out
