# Tests "retouch pairs" and training on pairs from the command line. Prints "ok" and "not ok" lines. $RETOUCH_ROOT is the checkout; the
# current folder is empty.
set -u
retouch=${RETOUCH:-$RETOUCH_ROOT/retouch}
model=$RETOUCH_ROOT/demo/model
n=0
check() { # check WHAT COMMAND...: one test
  n=$((n + 1))
  local what=$1
  shift
  if "$@"; then echo "ok $n - $what"; else echo "not ok $n - $what"; sed 's/^/# /' out err; fi
}
run() { "$retouch" "$@" >out 2>err; status=$?; }
exited() { [ "$status" = "$1" ]; }
says() { grep -qF -- "$2" "$1"; }

run sample --model "$model" --output drawn --count 8 --steps 2 --seed 1
check "pictures are drawn" exited 0
run pairs make --data drawn --degrade blur --size 64 --seed 3 --hold-out 4 --output pairs
check "pairs are made of them" exited 0
check "and counted" says out "6 pairs, 2 held out"
check "what was drawn is written down" grep -qE '"degradation":"blur","strength":1\.[0-9]+,"seed":[0-9]+' pairs/metadata.jsonl
run pairs make --data drawn --degrade blur --output pairs
check "a folder that is not empty ends with 2" exited 2

run train --model "$model" --size 64 --objective dpo --output run
check "preferences without pairs end with 2" exited 2
check "and say what is missing" says err data.pairs
echo '{"winner": "winners/00000.png.png", "loser": "/etc/hosts"}' >>pairs/held-out.jsonl
run train --model "$model" --pairs pairs/held-out.jsonl --size 64 --objective dpo --output run
check "a hostile line ends with 3" exited 3
check "and is named" says err "line 3 of"
sed -i '$d' pairs/held-out.jsonl

run train --model "$model" --pairs pairs --size 64 --objective dpo+lpl --set objective.preference.space=both --batch-size 2 --steps 3 \
  --set samples.every=0 --output run
check "training on pairs succeeds" exited 0
check "the pairs are counted" says err "6 pairs in 6 lines; 0 ties, 0 contradictions"
check "progress shows the accuracy" says err "accuracy 0."
check "the figures are logged" grep -qE '"preference_pixel/reference_loser":[0-9]' run/metrics.jsonl
run pairs measure --model run/model --reference "$model" --pairs pairs/held-out.jsonl --size 64 --draws 1
check "the model is measured" exited 0
check "in both spaces" grep -qE '^pixel +[01]\.[0-9]{3} ' out
