-- SPDX-License-Identifier: BSD-3-Clause
-- Removes what is recorded of one client from some keys, as far as its budget goes: Redis serves nobody else meanwhile. Totals stay: what the
-- client counted for goes to "*other". Running it again over the same keys does no harm.
--
-- KEYS[1]  teredown:{R}:applied
-- ARGV     instance, client, the text of a record that names it, the pattern of fields and members that begin with it, budget, cursor in the
--          first of the keys, then the keys
--
-- Returns { keys done, cursor in the next one, keys deleted, rows removed }; an error "FENCED" while another instance writes.

local OTHER = '*other'
local PAGE = 50

local prefix = string.sub(KEYS[1], 1, -#'applied' - 1)
local instance, client, record_text, pattern = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local budget, cursor = tonumber(ARGV[5]), ARGV[6] -- a unit is some microseconds
local deleted, removed = 0, 0

local probe = redis.pcall('EXISTS', prefix .. 'none')
if type(probe) == 'table' and probe.err then return redis.error_reply('TRYAGAIN the keys are on the move') end
local clock = redis.call('TIME')
local lease = redis.call('HMGET', prefix .. 'meta', 'lease_instance', 'lease_until')
if lease[1] and lease[1] ~= instance and (tonumber(lease[2] or nil) or 0) > tonumber(clock[1]) * 1000 then
	return redis.error_reply('FENCED another daemon writes for this resolver')
end

local function spend(units)
	budget = budget - units
end

local function type_of(key)
	return redis.call('TYPE', key).ok
end

-- A member of a sorted set becomes a part of *other.
local function move_member(key)
	spend(3)
	if type_of(key) ~= 'zset' then return end
	local score = redis.call('ZSCORE', key, client)
	if not score then return end
	redis.call('ZINCRBY', key, score, OTHER)
	removed = removed + redis.call('ZREM', key, client)
end

local function drop_field(key)
	spend(2)
	if type_of(key) == 'hash' then removed = removed + redis.call('HDEL', key, client) end
end

local function drop_member(key)
	spend(2)
	if type_of(key) == 'zset' then removed = removed + redis.call('ZREM', key, client) end
end

-- The key of *other lives at least as long as what it takes over.
local function outlive(key, from)
	local left, own = redis.call('PTTL', from), redis.call('PTTL', key)
	if left == -1 then redis.call('PERSIST', key) elseif own < left and own ~= -1 then redis.call('PEXPIRE', key, left) end
end

-- No counters: a host may be called 17, and nobody else was told of a server.
local WORDS = { name = true, forwarder = true, told_teredo = true, told_teredo_last = true, told_teredo_server = true }

local function fold_counters(key)
	local other = prefix .. 'client:' .. OTHER
	local is_new = redis.call('EXISTS', other) == 0
	local fields, first, last = redis.call('HGETALL', key), nil, nil
	spend(#fields * 2)
	for k = 1, #fields, 2 do
		local value = not WORDS[fields[k]] and string.match(fields[k + 1], '^%d+$') and tonumber(fields[k + 1])
		if fields[k] == 'first_seen' then
			first = value
		elseif fields[k] == 'last_seen' then
			last = value
		elseif value then
			redis.call('HINCRBY', other, fields[k], fields[k + 1])
		end
	end
	local known = redis.call('HMGET', other, 'first_seen', 'last_seen')
	first, last = math.min(first or tonumber(known[1] or nil) or 0, tonumber(known[1] or nil) or first or 0), math.max(last or 0, tonumber(known[2] or nil) or 0)
	redis.call('HSET', other, 'first_seen', string.format('%.0f', first), 'last_seen', string.format('%.0f', last))
	if is_new then redis.call('PEXPIRE', other, 1) end
	outlive(other, key)
	if not redis.call('ZSCORE', prefix .. 'clients', OTHER) then redis.call('ZADD', prefix .. 'clients', string.format('%.0f', last), OTHER) end
end

local function fold_names(key)
	local other = prefix .. 'client:' .. OTHER .. ':names'
	local is_new = redis.call('EXISTS', other) == 0
	local scores, sum = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), 0
	spend(1000)
	for k = 2, #scores, 2 do sum = sum + tonumber(scores[k]) end
	redis.call('ZINCRBY', other, string.format('%.0f', sum), OTHER)
	if is_new then redis.call('PEXPIRE', other, 1) end
	outlive(other, key)
end

local function delete_key(key, kind, fold)
	if type_of(key) ~= kind then return end
	spend(10)
	fold(key)
	deleted = deleted + redis.call('UNLINK', key)
end

-- Each row that begins with the client, a page at a time.
local function scan(key, kind, command, remove)
	spend(2)
	if type_of(key) ~= kind then return '0' end
	local size = redis.call(kind == 'hash' and 'HLEN' or 'ZCARD', key)
	spend(10 + math.min(size, PAGE) / 5)
	local page = redis.call(command, key, cursor, 'MATCH', pattern, 'COUNT', PAGE)
	for k = 1, #page[2], 2 do
		spend(4)
		remove(key, page[2][k], page[2][k + 1])
	end
	return page[1]
end

-- owner: what stands there behind the numbers.
local function fold_pair(key, field, value, owner)
	local other = OTHER .. ' ' .. OTHER
	local form = '^(%d+) (%d+) (%d+)'
	local first, last, count = string.match(value, form)
	local old_first, old_last, old_count = string.match(redis.call('HGET', key, other) or '', form)
	if first then
		redis.call('HSET', key, other, string.format('%.0f %.0f %.0f %s', math.min(tonumber(first), tonumber(old_first or first)),
			math.max(tonumber(last), tonumber(old_last or last)), tonumber(count) + tonumber(old_count or 0), owner or OTHER))
	end
	removed = removed + redis.call('HDEL', key, field)
end

local function fold_history(key, field, value)
	fold_pair(key, field, value, 'ambiguous')
end

local function fold_drops(key, member, score)
	redis.call('ZINCRBY', key, score, OTHER .. ' ' .. OTHER .. ' -')
	removed = removed + redis.call('ZREM', key, member)
end

local function drop_field(key)
	spend(2)
	if type_of(key) == 'hash' then removed = removed + redis.call('HDEL', key, client, string.lower(client)) end
end

local function fold_watched_name(key, member, score)
	redis.call('ZINCRBY', key, score, OTHER)
	removed = removed + redis.call('ZREM', key, member)
end

-- Whether a text names the client, and not one whose name is longer.
local function mentions(text)
	local at, to = string.find(text, client, 1, true)
	while at do
		if not string.find(string.sub(text, at - 1, at - 1), '[%w.:_-]') and not string.find(string.sub(text, to + 1), '^[%w:_-]') and
			not string.find(string.sub(text, to + 1), '^%.%w') then return true end
		at, to = string.find(text, client, at + 1, true)
	end
	return false
end

local function scan_stream(key, is_meant)
	spend(2)
	if type_of(key) ~= 'stream' then return '0' end
	local entries = redis.call('XRANGE', key, cursor == '0' and '-' or cursor, '+', 'COUNT', 20)
	spend(10 + #entries * 5)
	for _, entry in ipairs(entries) do
		for k = 1, #entry[2], 2 do
			if entry[2][k] == 'json' and is_meant(entry[2][k + 1]) then
				spend(5)
				removed = removed + redis.call('XDEL', key, entry[1])
			end
		end
	end
	if #entries < 20 then return '0' end
	local ms, sequence = string.match(entries[#entries][1], '^(%d+)-(%d+)$')
	return ms .. '-' .. string.format('%.0f', tonumber(sequence) + 1)
end

local function is_record(json) return string.find(json, record_text, 1, true) ~= nil end

local function is_event(json)
	local ok, event = pcall(cjson.decode, json)
	return ok and type(event) == 'table' and type(event.text) == 'string' and mentions(event.text)
end

-- What to do with a key; the cursor to go on with, '0' when it is done.
local function treat(key)
	local name = string.sub(key, #prefix + 1)
	if name == 'client:' .. client then
		delete_key(key, 'hash', fold_counters)
	elseif name == 'client:' .. client .. ':names' then
		delete_key(key, 'zset', fold_names)
	elseif name == 'clients' then
		drop_member(key)
	elseif name == 'remediated' then
		drop_field(key)
	elseif name == 'transactions' then
		return scan_stream(key, is_record)
	elseif name == 'events' then
		return scan_stream(key, is_event)
	elseif string.find(name, '^pair:') then
		return scan(key, 'hash', 'HSCAN', fold_pair)
	elseif string.find(name, '^history:') then
		return scan(key, 'hash', 'HSCAN', fold_history)
	elseif name == 'eventlog' then
		drop_field(key)
	elseif string.find(name, '^hour:%d+:drops$') then
		return scan(key, 'zset', 'ZSCAN', fold_drops)
	elseif string.find(name, '^hour:%d+:watched%-names$') then
		return scan(key, 'zset', 'ZSCAN', fold_watched_name)
	elseif string.find(name, '^watch:.*:last$') then
		drop_member(key)
	elseif string.find(name, '^watch:') or string.find(name, '^clients:') or string.find(name, '^hour:%d+:') or string.find(name, '^name:.*:clients$') then
		move_member(key)
	else
		spend(1)
	end
	return '0'
end

-- The names of the client are the one key that is not gone through in parts: it begins a call.
local names_key = prefix .. 'client:' .. client .. ':names'
local done = 0
while ARGV[7 + done] and budget > 0 and not (done > 0 and ARGV[7 + done] == names_key) do
	cursor = treat(ARGV[7 + done])
	if cursor == '0' then done = done + 1 end
end
return { done, cursor, deleted, removed }
