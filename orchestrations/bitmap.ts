/**
 * A set of small numbers as text: 1,024 windows take 172 characters, so that a plan travels through the history at
 * the same small size whatever the disk. Bit n is bit n % 6 of the digit n / 6.
 */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export function toBitmap(numbers: Iterable<number>): string {
  const digits: number[] = [];
  for (const number of numbers) {
    const digit = Math.floor(number / 6);
    while (digits.length <= digit) digits.push(0);
    digits[digit] = (digits[digit] as number) | (1 << (number % 6));
  }
  return digits.map((digit) => DIGITS[digit]).join('');
}

/** The numbers in ascending order. Throws a RangeError for text that is no bitmap. */
export function fromBitmap(text: string): number[] {
  const numbers: number[] = [];
  [...text].forEach((character, index) => {
    const digit = DIGITS.indexOf(character);
    if (digit < 0) throw new RangeError(`"${character}" is no digit of a bitmap`);
    for (let bit = 0; bit < 6; bit++) if (digit & (1 << bit)) numbers.push(index * 6 + bit);
  });
  return numbers;
}
