# Runs an engine for as long as the parent lives.
#
# usage: guard SIGNAL GRACE PROGRAM [ARGUMENT…], with a pipe from the parent as standard input.
# The end of the pipe means that the parent wants the engine to stop, or that the parent is dead, however it died. The
# engine then gets SIGNAL, and SIGKILL when it has not stopped after GRACE tenths of a second.
unset GRISTMILL_SCRIPT
umask 077
signal=$1
grace=$2
shift 2
exec 3<&0 </dev/null

"$@" 3<&- &
engine=$!

(
    read -r _ <&3
    kill -s "$signal" "$engine" 2>/dev/null
    while kill -s 0 "$engine" 2>/dev/null; do
        grace=$((grace - 1))
        [ "$grace" -gt 0 ] || kill -s KILL "$engine" 2>/dev/null
        sleep 0.1
    done
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-

# whoever stops the guard means the engine
trap 'kill -s "$signal" "$engine" 2>/dev/null' TERM INT HUP
while :; do
    wait "$engine"
    code=$?
    kill -s 0 "$engine" 2>/dev/null || break
done
kill "$watcher" 2>/dev/null
exit "$code"
